"""The plug point of a report: findings of other modules that stand in its document and on its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from millrace.bias.narrative import Word


class Part(Protocol):
    """A finding beside the figures by group, such as proxies or a mitigation.

    A report takes parts with `dataclasses.replace(report, parts=(*report.parts, part))`. The document has each under
    `/parts/<name>`; the page shows it in its section, by including `template` with the names `part`, `at` (its JSON
    pointer) and everything that the page's own templates know.
    """

    @property
    def name(self) -> str:
        """Key in the document: lower case words joined by underscores."""
        ...

    @property
    def section(self) -> int:
        """Number of the page's section, as in `sections.SECTIONS`."""
        ...

    @property
    def template(self) -> str:
        """Template of the part, found in `millrace/bias/templates/`."""
        ...

    def document(self) -> dict[str, Any]:
        """The part as JSON; floats may be infinite or nan and are written as the report writes its own."""
        ...


class Told(Protocol):
    """A sentence of a part, with a heading of its own, or an empty one."""

    @property
    def title(self) -> str:
        """What the sentence is about."""
        ...

    @property
    def words(self) -> tuple[Word, ...]:
        """The sentence; its figures carry their places."""
        ...


@runtime_checkable
class PlainPart(Protocol):
    """A part that also has something to say on the page in plain words."""

    def plain(self, at: str) -> tuple[str, Sequence[Told]]:
        """Heading and sentences; no sentences, no heading. `at` is the part's JSON pointer."""
        ...
