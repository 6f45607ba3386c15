"""Fair order of waiting runs: the lanes take turns, first come first served within a lane."""

from collections import OrderedDict, deque
from collections.abc import Callable


class Lanes:
    """Waiting run ids by lane. Not safe to use from several threads."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._lanes.values())

    def put(self, lane: str, run_id: str) -> None:
        """Adds a run at the end of its lane."""
        self._lanes.setdefault(lane, deque()).append(run_id)

    def put_back(self, lane: str, run_id: str) -> None:
        """Gives a run that was taken its place again: the first of its lane, which is the next to have a turn."""
        self._lanes.setdefault(lane, deque()).appendleft(run_id)
        self._lanes.move_to_end(lane, last=False)

    def take(self, may_start: Callable[[str], bool] = lambda run_id: True) -> str | None:
        """The next run that may start; its lane goes to the end of the line. None when there is none."""
        for lane, waiting in list(self._lanes.items()):
            run_id = next(filter(may_start, waiting), None)
            if run_id is not None:
                waiting.remove(run_id)
                self._lanes.move_to_end(lane)
                return run_id
            if not waiting:
                del self._lanes[lane]
        return None

    def waiting(self) -> list[str]:
        """Every run that waits, lane by lane."""
        return [run_id for waiting in self._lanes.values() for run_id in waiting]

    def discard(self, run_id: str) -> bool:
        """Removes a waiting run; false when it does not wait."""
        for waiting in self._lanes.values():
            if run_id in waiting:
                waiting.remove(run_id)
                return True
        return False
