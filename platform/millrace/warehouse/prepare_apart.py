"""Prepares large uploads in a process of their own: the memory is given back, and a crash in a parser harms nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from millrace.contracts import errors
from millrace.contracts.errors import BadInput, InsufficientStorage, MillraceError
from millrace.warehouse.prepare import Limits, Prepared, prepare
from millrace.warehouse.profile import Profile

_RESULT = "result.json"


def prepare_apart(source: Path, work: Path, limits: Limits) -> Prepared:
    """As `prepare`, in another process.

    Raises:
        BadInput: as in `prepare`; also when the file makes the parser's process end.
        InsufficientStorage: as in `prepare`.
    """
    request = {"source": str(source), "work": str(work), **vars(limits)}
    done = subprocess.run(
        [sys.executable, "-m", "millrace.warehouse.prepare_apart"],
        input=json.dumps(request),
        text=True,
        capture_output=True,
        check=False,
    )
    result = work / _RESULT
    if done.returncode != 0 or not result.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BadInput(
            f"the file could not be read: its reader ended with {done.returncode} ({last[:300]})",
            field="file",
            remedy="check the file; if others can read it, report it with the log of this upload",
        )
    return _from_json(json.loads(result.read_text()))


def main() -> None:
    """Reads a request from standard input and leaves the result in the work folder."""
    request = json.load(sys.stdin)
    work = Path(request.pop("work"))
    source = Path(request.pop("source"))
    try:
        prepared = prepare(source, work, Limits(**request))
    except MillraceError as error:
        answer: dict[str, Any] = {
            "error": type(error).__name__,
            "message": error.message,
            "field": error.field,
            "remedy": error.remedy,
        }
    else:
        answer = {
            "table": str(prepared.table),
            "format": prepared.format,
            "profile": prepared.profile.model_dump(mode="json"),
            "meta": prepared.meta,
        }
    partial = work / f"{_RESULT}.part"
    partial.write_text(json.dumps(answer))
    partial.replace(work / _RESULT)


def _from_json(answer: dict[str, Any]) -> Prepared:
    if "error" in answer:
        cls: type[MillraceError] = getattr(errors, answer["error"])
        assert issubclass(cls, BadInput | InsufficientStorage), cls
        raise cls(answer["message"], field=answer["field"], remedy=answer["remedy"])
    return Prepared(Path(answer["table"]), answer["format"], Profile.model_validate(answer["profile"]), answer["meta"])


if __name__ == "__main__":
    main()
