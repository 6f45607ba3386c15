"""A thread for a stream's steps, and one for its commits, so that its consumer is polled meanwhile."""

import math
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """One piece of work at a time. A daemon thread: work that never ends does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._todo: queue.SimpleQueue[Callable[[], T] | None] = queue.SimpleQueue()
        self._done = threading.Event()
        self._result: T | None = None
        self._raised: BaseException | None = None
        self.busy = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> None:
        """Begins the work; there must be none in flight."""
        if self.busy:
            raise RuntimeError("the worker is busy")
        self.busy = True
        self._done.clear()
        self._todo.put(work)

    def wait(self, seconds: float) -> bool:
        """Whether the work in flight is done, within the time; False when there is none. Infinity waits for its end."""
        return self.busy and self._done.wait(None if math.isinf(seconds) else seconds)

    def take(self) -> T:
        """What the work gave, once it is done.

        Raises:
            BaseException: whatever the work raised.
        """
        if not (self.busy and self._done.is_set()):
            raise RuntimeError("no work is done")
        result, raised = self._result, self._raised
        self._result, self._raised, self.busy = None, None, False
        if raised is not None:
            raise raised
        assert result is not None
        return result

    def close(self) -> None:
        """Lets the thread end after the work in flight."""
        self._todo.put(None)

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            try:
                self._result = work()
            except BaseException as error:  # noqa: BLE001 (raised by `take` in the thread that waits)
                self._raised = error
            self._done.set()
