"""A stream that scores with a champion: a new one is taken up, whoever made it the champion in MLflow."""

from typing import Any

from millrace.contracts.errors import TerminalError
from millrace.settings import Settings
from millrace.text.adopt import adopt
from millrace.text.choose_registered import version_of
from millrace.text.registered import parse_uri
from millrace.warehouse.scoring_models import pinned_of
from millrace.warehouse.store import Warehouse


class ChampionWatch:
    """Looks whether the alias that the pinned choice follows has moved."""

    def __init__(self, settings: Settings, warehouse: Warehouse, stream: str, *, run_id: str | None = None) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._stream = stream
        self._run_id = run_id
        self._refused: str | None = None

    def look(self) -> dict[str, Any] | None:
        """What was pinned just now because the alias has moved; None where nothing has changed.

        A champion that cannot score is refused once, and looked at again only when another version has the alias.

        Raises:
            TerminalError: the new champion cannot score texts; what was pinned stays.
            CannotReach: MLflow does not answer.
        """
        pinned = pinned_of(self._warehouse, self._stream) or {}
        follows = pinned.get("follows")
        if follows is None:
            return None
        named = parse_uri(follows)
        uri = named.with_version(version_of(self._settings, named))
        if uri in (pinned["source"], self._refused):
            return None
        try:
            return adopt(
                self._settings, self._warehouse, self._stream, follows, actor=f"follows {follows}",
                run_id=self._run_id, in_place_of=pinned["ref"],
            )  # fmt: skip
        except TerminalError:
            self._refused = uri
            raise
