"""The page as a browser shows it: the script runs under the page's own policy, and the levels hide what they should."""

import json
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from millrace.bias.page import render_bias_page
from millrace.bias.predictions import measure_model_bias
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, SENSITIVE, TARGET, generate_loans
from millrace.pages import PageFacts

pytestmark = pytest.mark.chromium
PROBE = """
<script>
addEventListener("load", function () {
  function seen(selector) {
    return [...document.querySelectorAll(selector)].filter(one => one.getClientRects().length).length;
  }
  var found = {};
  for (var level of ["plain", "analyst", "everything"]) {
    document.getElementById("level-" + level).checked = true;
    found[level] = [seen("section.plain"), seen("section[id]"), seen(".deep"), document.documentElement.scrollWidth];
  }
  var box = document.querySelector("[data-explorer]"), slider = box.querySelector("[data-part=threshold]");
  var before = box.querySelector("tbody tr td").textContent;
  slider.value = 0; slider.dispatchEvent(new Event("input"));
  found.everyone = [...box.querySelectorAll("tbody td:nth-of-type(2)")].map(one => one.textContent);
  box.querySelector("[data-part=cost-false-positive]").value = "0";
  box.querySelector("[data-part=cheapest]").click();
  found.cheapest = [box.querySelector("[data-part=cost]").textContent, slider.value];
  location.hash = "#twin";
  document.title = JSON.stringify(found);
});
</script>
"""


@pytest.fixture(scope="module")
def page() -> str:
    frame = generate_loans(900)
    scores = np.where(frame[TARGET] == POSITIVE, 0.3, 0.1) + 0.6 * np.random.default_rng(1).random(len(frame))
    answers = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
    said = np.where(scores >= 0.5, POSITIVE, "no")
    report = measure_model_bias(frame[TARGET], said, frame, answers=answers, seed=0, scores=scores)
    return render_bias_page(report, facts=PageFacts("loans.csv", None, "ab" * 32, "0", None))


def _shown(chromium: str, path: Path, *, width: int = 1400) -> str:
    ran = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom",
         f"--user-data-dir={path.parent / 'profile'}", f"file://{path}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return ran.stdout


def test_the_script_runs_under_the_pages_own_policy_and_redraws_what_stood_there(
    chromium: str, tmp_path: Path, page: str
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    shown = _shown(chromium, path)
    assert 'data-part="controls" hidden' in page
    assert 'data-part="controls" hidden' not in shown
    assert re.search(r'<output data-part="choice">scores of 0.5 and above</output>', shown)
    # the first table is as the server wrote it: the script computes the same figures from the counts
    tables = [re.findall(r'<table data-part="groups">.*?</table>', text, re.DOTALL) for text in (page, shown)]
    cells = [re.findall(r'<td class="number">(.*?)</td>', table) for table in (tables[0][0], tables[1][0])]
    assert cells[0] == cells[1]
    assert len(cells[0]) == 10


@pytest.mark.parametrize("width", [400, 1400])
def test_levels_the_explorer_and_the_width(chromium: str, tmp_path: Path, page: str, width: int) -> None:
    path = tmp_path / "page.html"
    # the probe is not ours: the policy has to let it in for this test
    policy = re.sub(r"script-src [^;]*;", "script-src 'unsafe-inline';", page)
    path.write_text(policy.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    began = time.perf_counter()
    shown = _shown(chromium, path, width=width)
    seconds = time.perf_counter() - began
    title = re.search(r"<title>(\{.*?\})</title>", shown)
    assert title, shown[:500]
    found = json.loads(title.group(1))
    plain, analyst, everything = (found[level] for level in ("plain", "analyst", "everything"))
    assert plain[0] >= 5
    assert plain[1] == plain[2] == 0
    assert analyst[:2] == [0, 17]
    assert analyst[2] == 0
    assert everything[:2] == [0, 17]
    assert everything[2] > 5
    # nothing sticks out: wide tables scroll inside
    assert all(found[level][3] <= max(width, 500) for level in ("plain", "analyst", "everything"))
    assert set(found["everyone"]) == {"100.0%"}
    assert found["cheapest"][0] == "0"
    assert seconds < 20


def test_a_foreign_script_does_not_run(chromium: str, tmp_path: Path, page: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    assert "<title>{" not in _shown(chromium, path)
