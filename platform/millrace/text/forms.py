"""The forms that a classifier can run in: as it is, exported to ONNX, and with weights of eight bits."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Form = Literal["torch-fp32", "onnx-fp32", "onnx-int8"]
FORMS: tuple[Form, ...] = ("torch-fp32", "onnx-fp32", "onnx-int8")
REFERENCE: Form = "torch-fp32"
"""What the others are compared with."""
Forward = Callable[["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], "np.ndarray[Any, Any]"]
"""Token ids and mask, int64 of shape (rows, tokens), to logits of shape (rows, labels)."""
_OPSET = 17
_GPU = "CUDAExecutionProvider"


def export(folder: Path, target: Path) -> dict[str, Path]:
    """The model of `folder` as ONNX files in `target`: by form; files that are there already stay."""
    target.mkdir(parents=True, exist_ok=True)
    plain, small = target / "fp32.onnx", target / "int8.onnx"
    if not plain.exists():
        _to_onnx(folder, plain)
    if not small.exists():
        _quantise(plain, small)
    return {"onnx-fp32": plain, "onnx-int8": small}


def batches_at_once(form: Form, *, threads: int) -> int:
    """How many batches the form runs beside each other, so that all threads have work.

    On a CPU, batches of one thread each need not wait for each other within every operation: a tenth faster on two
    cores than both threads on one batch.
    """
    return 1 if form == REFERENCE or _on_gpu() else threads


def forward_of(form: Form, folder: Path, files: dict[str, Path], *, threads: int) -> Forward:
    """The model in that form, ready to run with so many threads in all; on a GPU where onnxruntime has one."""
    if form == REFERENCE:
        return _torch(folder, threads)
    return _onnx(files[form], threads // batches_at_once(form, threads=threads))


def _on_gpu() -> bool:
    import onnxruntime as ort

    return _GPU in ort.get_available_providers()


def _to_onnx(folder: Path, target: Path) -> None:
    import torch

    model = _load(folder)

    class Logits(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.ones((2, 8), dtype=torch.int64)
    mask = torch.ones_like(ids)
    # without a masked token the mask would be left out of the trace
    mask[1, 5:] = 0
    draft = target.with_suffix(".tmp")
    with warnings.catch_warnings():
        # the exporter by traces is called old; the new one writes shapes that quantisation refuses (torch 2.15)
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(), (ids, mask), str(draft), dynamo=False, opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"], output_names=["logits"],
            dynamic_axes={"input_ids": {0: "rows", 1: "tokens"}, "attention_mask": {0: "rows", 1: "tokens"},
                          "logits": {0: "rows"}},
        )  # fmt: skip
    draft.rename(target)


def _quantise(plain: Path, small: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    draft = small.with_suffix(".tmp")
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        # signed weights: unsigned ones are two to four times slower on these processors
        quantize_dynamic(str(plain), str(draft), weight_type=QuantType.QInt8)
    finally:
        root.setLevel(before)
    draft.rename(small)


def _load(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    loaded = AutoModelForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, attn_implementation="eager"
    )
    return loaded.eval()


def _torch(folder: Path, threads: int) -> Forward:
    import torch

    model = _load(folder)

    def forward(ids: Any, mask: Any) -> Any:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                given = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            return given.logits.float().numpy()
        finally:
            torch.set_num_threads(before)

    return forward


def _onnx(path: Path, threads: int) -> Forward:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # a thread that spins between two batches takes the consumer's core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    there = ort.get_available_providers()
    wanted = [name for name in (_GPU, "CPUExecutionProvider") if name in there]
    session = ort.InferenceSession(str(path), options, providers=wanted)
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
