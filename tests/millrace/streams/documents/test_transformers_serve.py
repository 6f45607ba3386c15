"""A chat model made from a configuration, served by `transformers serve`: no download, and what it says is noise."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from millrace.streams.documents.audit import anchor_path, trail_path
from millrace.streams.documents.audit_verify import verify_trail
from millrace.streams.documents.doctor import examine
from millrace.streams.documents.producing import produce_documents
from millrace.streams.documents.service import run_documents

pytestmark = [pytest.mark.slow, pytest.mark.broker]

_TEMPLATE = """\
{% for message in messages %}{{ '<s>' + message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""


def make_model(folder: Path) -> None:
    """A Llama of two layers, 32 wide, with random weights, and a tokenizer whose tokens are bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<s>", "</s>", "<unk>"]
    vocabulary = {
        token: number for number, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.chat_template = _TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=8_192, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture
def served(tmp_path, free_port):
    """URL and model of a running `transformers serve`."""
    pytest.importorskip("openai", reason="`transformers serve` needs the extra text")
    model, cache = tmp_path / "model", tmp_path / "hub"
    cache.mkdir()
    make_model(model)
    program = Path(sys.executable).parent / "transformers"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "CUDA_VISIBLE_DEVICES": ""}
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "serve", model, "--port", str(free_port), "--device", "cpu"], env=environment, stdout=log,
            stderr=log,
        )  # fmt: skip
    url, deadline = f"http://localhost:{free_port}", time.monotonic() + 120
    try:
        while True:
            try:
                httpx.get(f"{url}/health", timeout=2, verify=False)
                break
            except httpx.HTTPError:
                assert server.poll() is None, (tmp_path / "serve.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "transformers serve did not answer"
                time.sleep(0.2)
        yield url, str(model)
    finally:
        server.terminate()
        server.wait(20)


def test_a_real_model_reads_documents_and_each_ends_in_a_result(served, stream, results):
    url, model = served
    settings = stream(
        llm_url=url, llm_model=model, llm_guided=False, llm_max_tokens=24, llm_concurrency=2, llm_timeout=60.0
    )
    looks = {one.name: one for one in examine(settings)}
    assert {name: one.level for name, one in looks.items() if one.level == "fail"} == {}
    produce_documents(settings, count=6)
    totals = run_documents(settings, stop=threading.Event(), count=6, timeout=120)
    assert (totals.records, totals.outputs, totals.dead_letters) == (6, 6, 0)
    made = results(settings)
    # noise: cut off at its limit of tokens, unless an end happens to be drawn
    assert set(Counter(one["status"] for one in made)) <= {"truncated", "invalid"}
    assert {one["document_type"] for one in made} >= {"earnings_report", "news"}
    assert all(one["prompt_tokens"] > 500 and 0 < one["completion_tokens"] <= 48 for one in made)
    found = verify_trail(trail_path(settings), anchor_path(settings))
    assert (found.failures, found.entries >= 6) == ((), True)
