"""Fair order of waiting runs: the lanes take turns, first come first served within a lane."""

from collections import OrderedDict, deque


class Lanes:
    """Waiting run ids by lane. Not safe to use from several threads."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._lanes.values())

    def put(self, lane: str, run_id: str) -> None:
        """Adds a run at the end of its lane."""
        self._lanes.setdefault(lane, deque()).append(run_id)

    def take(self) -> str | None:
        """The next run; its lane goes to the end of the line. None when nothing waits."""
        while self._lanes:
            lane, waiting = next(iter(self._lanes.items()))
            if not waiting:
                del self._lanes[lane]
                continue
            self._lanes.move_to_end(lane)
            return waiting.popleft()
        return None

    def discard(self, run_id: str) -> bool:
        """Removes a waiting run; false when it does not wait."""
        for waiting in self._lanes.values():
            if run_id in waiting:
                waiting.remove(run_id)
                return True
        return False
