"""New files of SQLite databases, in place at once and never opened under their own names."""

import os
import threading
from pathlib import Path


def place(path: Path, content: bytes = b"", *, mode: int) -> None:
    """Makes a file with the content there unless there is one; the umask applies to `mode`.

    SQLite gives the files beside a database the database's permissions. The file is never opened under its own name:
    closing any descriptor of a file drops all the locks that this process holds on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2), those of another thread's transaction included.
    """
    if path.exists():
        return
    aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.link(aside, path)
    except FileExistsError:
        # another process was faster
        return
    finally:
        aside.unlink()
