"""A group of commands of which one needs no name: `millrace bias FILE` beside `millrace bias diff A B`."""

from typing import Any, ClassVar

from typer.core import TyperGroup


class WithDefault(TyperGroup):
    """Runs `default` where the first word is no command of the group."""

    default: ClassVar[str] = "file"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words, with the default's name put in front where no command is named."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [self.default, *args]
        return super().parse_args(ctx, args)
