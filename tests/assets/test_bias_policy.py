"""The bias policy at the edge: the check of the asset, the statement, the hold, and a policy that changed under way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetCheckSeverity
from sqlalchemy import select

from millrace.bias import policy as policies
from millrace.bias.policy import shipped_policy
from millrace.warehouse.schema import Report, Statement
from millrace.warehouse.store import Warehouse

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def own_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy of the operator's own; the platform is set to it."""
    shipped = Path(policies.__file__).parent / "policies" / "strict.yaml"
    file = tmp_path / "own.yaml"
    file.write_text(shipped.read_text().replace("name: strict", "name: own"))
    monkeypatch.setenv("MILLRACE_BIAS_POLICY", str(file))
    return file


def _check(result: Any) -> Any:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "bias_policy"]
    return found


def _summary(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.read() as session:
        (summary,) = session.scalars(select(Report.summary).where(Report.kind == "bias")).all()
    return dict(summary)


@pytest.mark.parametrize(
    ("name", "severity", "holds"),
    [("four-fifths", AssetCheckSeverity.WARN, False), ("strict", AssetCheckSeverity.ERROR, True)],
)
def test_the_check_has_the_policys_severity_and_the_statement_its_hash(
    begin: Callable[..., Any], launch: Callable[..., Any], warehouse: Warehouse,
    name: str, severity: AssetCheckSeverity, holds: bool,
) -> None:  # fmt: skip
    request = begin(bias_policy=name)
    result = launch("bias_job", request)
    assert result.success
    check = _check(result)
    assert (check.passed, check.severity) == (False, severity)
    assert check.metadata["policy SHA-256"].value == shipped_policy(name).sha256
    with warehouse.read() as session:
        statement = session.scalars(select(Statement).where(Statement.asset == "bias_report")).one()
        assert statement.parameters["bias_policy"]["sha256"] == shipped_policy(name).sha256
    summary = _summary(warehouse)
    assert summary["holds_back"] is holds
    assert summary["policy"]["severity"] == ("error" if holds else "warn")


def test_a_policy_that_changed_after_the_pipeline_began_measures_nothing(
    own_policy: Path, begin: Callable[..., Any], launch: Callable[..., Any], attempt: Callable[..., Any],
    warehouse: Warehouse, sent: Callable[[], list[dict[str, Any]]],
) -> None:  # fmt: skip
    request = begin()
    own_policy.write_text(own_policy.read_text().replace("at: 0.9", "at: 0.1"))
    assert not launch("bias_job", request).success
    assert attempt(request).state == "failed"
    told = sent()[-1]
    assert told["error_class"] == "Conflict"
    assert "has changed since the pipeline began" in told["error_message"]
    assert told["transient"] is False
    with warehouse.read() as session:
        assert not session.scalars(select(Report).where(Report.kind == "bias")).all()
