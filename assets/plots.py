"""Small plots for Dagster's metadata, drawn without a plotting library: importing one costs a run a second."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from dagster import MarkdownMetadataValue, MetadataValue

ROW, LABEL, WIDTH = 22, 190, 560
"""Pixels: height of a bar with its gap, width of the labels, width of the plot."""
MAX_LABEL = 26


def bar_plot(title: str, bars: Sequence[tuple[str, float]]) -> MarkdownMetadataValue:
    """Horizontal bars of values that are not negative, in the given order, as an image inside Markdown."""
    largest = max((value for _, value in bars), default=0.0) or 1.0
    lines = []
    for number, (name, value) in enumerate(bars):
        y = ROW * (number + 1)
        width = (WIDTH - LABEL - 70) * value / largest
        short = name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"
        lines += [
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(short)}</text>',
            f'<rect x="{LABEL}" y="{y + 3}" width="{width:.1f}" height="{ROW - 7}" fill="#4f6bed"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{y + 15}">{value:.3g}</text>',
        ]
    height = ROW * (len(bars) + 1) + 6
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="8" y="15" font-weight="bold">{escape(title)}</text>{"".join(lines)}</svg>'
    )
    image = b64encode(svg.encode()).decode()
    return MetadataValue.md(f"![{escape(title)}](data:image/svg+xml;base64,{image})")
