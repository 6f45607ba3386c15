"""A classifier of DistilBERT's size: eight-bit weights and batches of like length against the model as it comes.

The model has random weights, which cost as much as trained ones. The baseline is what the libraries' examples do:
torch with 32 bits as transformers loads it, all threads on one batch, batches of 32 in the order of arrival, padded to
the longest of the batch. Each form runs once before it counts, and rounds are interleaved. Texts have lognormal
lengths (mean 22 tokens, 95 % below 44). Latency is from arrival to score at half of the measured throughput, with
batches gathered for at most 100 ms as a stream does.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _report import report

from millrace.streams.meter import percentiles
from millrace.text.classifier import TextClassifier
from millrace.text.forms import Forward, batches_at_once, export, forward_of

SEED = 20_261_127
BATCH = 32
GATHER_SECONDS = 0.1
WORDS = 2_000


def main() -> None:
    """Leaves results/text_models.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--load-seconds", type=float, default=15.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        _build(folder)
        texts = _texts(options.texts)
        files = export(folder, folder / "onnx")
        forward = forward_of("onnx-int8", folder, files, threads=options.threads)
        at_once = batches_at_once("onnx-int8", threads=options.threads)
        quick = TextClassifier(folder, forward, name="m", version="1", at_once=at_once)
        plain = TextClassifier(folder, _as_it_comes(folder, options.threads), name="m", version="1")
        _in_order(plain, texts)
        quick.score(texts)
        ratios, slow, fast = [], [], []
        for _ in range(options.rounds):
            slow.append(len(texts) / _seconds(lambda: _in_order(plain, texts)))
            fast.append(len(texts) / _seconds(lambda: quick.score(texts)))
            ratios.append(fast[-1] / slow[-1])
        late = _under_load(quick, texts, rate=statistics.median(fast) / 2, seconds=options.load_seconds)
    figures = {
        "texts": options.texts,
        "rounds": options.rounds,
        "threads": options.threads,
        "eager_texts_per_second": round(statistics.median(slow), 1),
        "int8_bucketed_texts_per_second": round(statistics.median(fast), 1),
        "ratio": round(statistics.median(ratios), 2),
        "lowest_ratio": round(min(ratios), 2),
        "half_load_p50_seconds": round(late.p50, 3),
        "half_load_p95_seconds": round(late.p95, 3),
        "half_load_p99_seconds": round(late.p99, 3),
        "budget_ratio": 6.0,
        "budget_half_load_p99_seconds": 0.5,
    }
    report("text_models", figures, seed=SEED, command="python benchmarks/text_models.py")


def _build(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(SEED)
    DistilBertForSequenceClassification(DistilBertConfig()).eval().save_pretrained(folder)
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", *(f"w{n}" for n in range(WORDS))])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


def _as_it_comes(folder: Path, threads: int) -> Forward:
    import torch
    from transformers import DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification.from_pretrained(folder).eval()
    torch.set_num_threads(threads)

    def forward(ids: Any, mask: Any) -> Any:
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()

    return forward


def _texts(count: int) -> list[str]:
    draw = random.Random(SEED)
    lengths = [min(510, max(3, round(draw.lognormvariate(2.97, 0.5)))) for _ in range(count)]
    return [" ".join(f"w{draw.randrange(WORDS)}" for _ in range(length)) for length in lengths]


def _in_order(scorer: TextClassifier, texts: list[str]) -> None:
    rows = scorer._tokenizer(texts)["input_ids"]
    for start in range(0, len(rows), BATCH):
        scorer._probabilities(rows[start : start + BATCH])


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _under_load(scorer: TextClassifier, texts: list[str], *, rate: float, seconds: float) -> Any:
    draw, arrivals, at = random.Random(SEED), [], 0.0
    while at < seconds:
        at += draw.expovariate(rate)
        arrivals.append(at)
    began, done, late = time.perf_counter(), 0, []
    while done < len(arrivals):
        now = time.perf_counter() - began
        # from the first that waits, as long as a transaction gathers
        time.sleep(max(0.0, arrivals[done] + GATHER_SECONDS - now))
        now = time.perf_counter() - began
        end = done + sum(moment <= now for moment in arrivals[done:])
        scorer.score([texts[number % len(texts)] for number in range(done, end)])
        now = time.perf_counter() - began
        late += [now - moment for moment in arrivals[done:end]]
        done = end
    return percentiles(late)


if __name__ == "__main__":
    main()
