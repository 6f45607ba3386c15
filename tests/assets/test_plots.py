from base64 import b64decode
from xml.etree import ElementTree

from assets.plots import bar_plot


def drawn(value):
    prefix = "](data:image/svg+xml;base64,"
    return ElementTree.fromstring(b64decode(value.md_str.partition(prefix)[2].rstrip(")")))


def widths(svg):
    return [float(one.get("width")) for one in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]


def test_bars_are_as_long_as_their_values():
    long, half, none = widths(drawn(bar_plot("t", [("a", 2.0), ("b", 1.0), ("c", 0.0)])))
    assert long > 0
    assert (half, none) == (long / 2, 0)


def test_a_hostile_name_stays_text():
    svg = drawn(bar_plot("t", [("<script>&", 1.0)]))
    assert "<script>&" in "".join(svg.itertext())


def test_nothing_to_draw_is_an_empty_plot():
    assert widths(drawn(bar_plot("t", []))) == []
    assert widths(drawn(bar_plot("t", [("a", 0.0)]))) == [0]
