from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd

from millrace.examples.loans import TARGET, generate_loans
from millrace.pages import PageFacts
from millrace.quality.page import render_quality_page
from millrace.quality.suite import assess
from millrace.warehouse.profile import Profile

FACTS = PageFacts("ada.loans", 1, "ab" * 32, "0.1.0", datetime(2026, 1, 2, tzinfo=UTC))


def _page(frame: pd.DataFrame, profile_of: Callable[[pd.DataFrame], Profile], target: str = TARGET) -> str:
    report = assess(frame, target=target, task_type="classification", profile=profile_of(frame))
    return render_quality_page(report, facts=FACTS)


def test_the_page_says_what_passed_what_warns_and_what_blocks(profile_of: Callable[[pd.DataFrame], Profile]) -> None:
    clean = _page(generate_loans(300), profile_of)
    assert "passes all 9 checks" in clean
    warned = _page(generate_loans(300).assign(branch="main"), profile_of)
    assert "1 of 9 checks ask for a look first" in warned
    assert "Never varying: “branch”" in warned
    blocked = _page(generate_loans(300), profile_of, target="aproved")
    assert "cannot be used" in blocked


def test_hostile_names_are_text(profile_of: Callable[[pd.DataFrame], Profile]) -> None:
    page = _page(generate_loans(300).assign(**{"<script>alert(1)</script>": 1}), profile_of)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
