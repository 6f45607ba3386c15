"""The Jinja environment that every page is rendered with."""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from millrace.pages import filters


@cache
def environment(*packages: str) -> Environment:
    """Jinja environment that finds templates in `templates/` of the packages, in order, then in this room's.

    Everything is escaped, an undefined name is an error. Shared templates: `base.html` (blocks `title`, `policy`,
    `head`, `header`, `body`, `footer`) and `charts.html` (macro `chart`). Filters: see `filters`.
    """
    found = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "millrace.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        visible=filters.visible,
        percent=filters.percent,
        points=filters.points,
        number=filters.number,
        whole=filters.whole,
        moment=filters.moment,
    )
    return found
