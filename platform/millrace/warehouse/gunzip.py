"""Gzip unpacked to disk under limits: a bomb is refused before it has grown."""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from millrace.contracts.canonical import CHUNK_BYTES
from millrace.contracts.errors import BadInput, TooLarge
from millrace.warehouse.disk import require_room

MAX_RATIO: Final = 400
"""Unpacked to packed. Tables compress 3 to 30 times, the most regular ones some 200; DEFLATE cannot exceed 1,032."""
FREE_BYTES: Final = 64 << 20
"""Below this the ratio is not judged: a small file of one repeated row is no attack."""


def gunzip(source: Path, target: Path, *, max_bytes: int) -> int:
    """The number of bytes written to the target.

    Raises:
        TooLarge: above `max_bytes`, or unpacked to packed above MAX_RATIO; the target is removed.
        BadInput: the gzip data is damaged or ends early; the target is removed.
        InsufficientStorage: the disk has no room for what comes.
    """
    packed = source.stat().st_size
    try:
        with gzip.open(source, "rb") as stream, target.open("wb") as output:
            return _copy(stream, output, packed=packed, max_bytes=max_bytes, folder=target.parent)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        target.unlink(missing_ok=True)
        raise BadInput(
            f"the gzip file is damaged or ends early: {error}", field="file", remedy="compress and send it again"
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(stream: "gzip.GzipFile | BinaryIO", output: BinaryIO, *, packed: int, max_bytes: int, folder: Path) -> int:
    written = 0
    while chunk := stream.read(CHUNK_BYTES):
        written += len(chunk)
        if written > max_bytes:
            raise TooLarge(
                f"the gzip file unpacks to more than {max_bytes:,} bytes",
                field="file",
                remedy="raise MILLRACE_MAX_DECOMPRESSED_BYTES, or send Parquet",
            )
        if written > FREE_BYTES and written > MAX_RATIO * packed:
            raise TooLarge(
                f"the gzip file unpacks to more than {MAX_RATIO} times its size, as no table does",
                field="file",
                remedy="send the file uncompressed, or as Parquet",
            )
        if written // FREE_BYTES != (written - len(chunk)) // FREE_BYTES:
            require_room(folder, FREE_BYTES)
        output.write(chunk)
    return written
