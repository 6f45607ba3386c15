"""A tiny classifier built from a configuration and fitted to the golden set, as files that any loader reads."""

import re
from pathlib import Path

import pytest

from millrace.text.golden import GOLDEN


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    torch = pytest.importorskip("torch")
    return build(tmp_path_factory.mktemp("tiny"), torch, labels=("negative", "positive"), steps=40)


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> Path:
    """One that was not fitted: what it says is chance."""
    torch = pytest.importorskip("torch")
    return build(tmp_path_factory.mktemp("other"), torch, labels=("positive", "negative"), steps=0)


def build(folder, torch, *, labels, steps):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

    words = sorted({word for text, _ in GOLDEN for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    )  # fmt: skip
    torch.manual_seed(7)
    # two threads that spin wait for each other on a busy machine
    torch.set_num_threads(1)
    model = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=len(vocabulary), max_position_embeddings=64, dim=32, n_layers=2, n_heads=2, hidden_dim=64,
            dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, id2label=dict(enumerate(labels)),
            label2id={name: at for at, name in enumerate(labels)},
        )
    )  # fmt: skip
    rows = tokenizer([text for text, _ in GOLDEN], padding=True, return_tensors="pt", return_token_type_ids=False)
    wanted = torch.tensor([labels.index(label.lower()) for _, label in GOLDEN])
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(**rows).logits, wanted).backward()
        optimiser.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
