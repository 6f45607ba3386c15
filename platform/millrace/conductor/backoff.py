"""How long a pipeline waits before it tries a stage again."""

import hashlib

BASE_SECONDS = 2.0
MAX_SECONDS = 60.0


def backoff_seconds(failures: int, *, key: str) -> float:
    """Seconds to wait after the n-th failure: doubled each time, at most 60, of which up to half is jitter.

    The jitter comes from `key`, so that two conductors agree on the moment ("equal jitter", Brooker, AWS Architecture
    Blog 2015).

    Raises:
        ValueError: `failures` is below 1.
    """
    if failures < 1:
        raise ValueError("back-off begins after the first failure")
    # the exponent is capped because 2.0**1024 overflows
    full = min(MAX_SECONDS, BASE_SECONDS * 2.0 ** min(failures - 1, 16))
    digest = hashlib.sha256(f"{key}:{failures}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return full / 2 + full / 2 * share
