import json
from typing import Any

import pytest

from millrace.contracts.errors import CannotReach, IntegrityBroken
from millrace.lineage.verification import Failure, Verification
from millrace.lineage.verify import verify
from millrace.warehouse.store import Warehouse

ASSETS = ("data_quality", "bias_report", "model", "model_bias_report", "explanation", "xai_report/expert")


def _failures(found: Verification, what: str) -> list[Failure]:
    return [one for one in found.failures if one.what == what]


def test_an_untouched_warehouse_has_no_failure_and_no_gap(world: Any) -> None:
    found = world.verify()
    assert (found.failures, found.gaps) == ((), ())
    assert found.completeness == "complete"
    assert found.checked.statements == 9
    assert found.checked.nodes == 9
    assert found.checked.models == 1
    assert found.checked.pipelines == 1


def test_a_warehouse_with_nothing_in_it_is_intact(warehouse: Warehouse) -> None:
    found = verify(warehouse, mlflow_url="http://127.0.0.1:9")
    assert (found.integrity, found.completeness) == ("intact", "complete")
    found.require()


def test_models_that_cannot_be_reached_leave_integrity_open(world: Any) -> None:
    found = world.verify()
    assert found.integrity == "not established"
    assert [one.ref for one in found.unchecked] == [world.refs["model"]]
    with pytest.raises(CannotReach):
        found.require()


@pytest.mark.parametrize("piece", ["raw", "table"])
def test_one_flipped_bit_in_the_data_names_the_data_set(world: Any, piece: str) -> None:
    world.damage(world.hashes[piece])
    found = world.verify()
    assert [(one.ref, one.part) for one in _failures(found, "artifact altered")] == [(world.refs["dataset"], piece)]
    with pytest.raises(IntegrityBroken) as caught:
        found.require()
    assert caught.value.exit_code == 6
    assert world.refs["dataset"] in str(caught.value)


@pytest.mark.parametrize("piece", ["html", "json"])
@pytest.mark.parametrize("asset", ["bias_report", "xai_report/expert"])
def test_one_flipped_bit_in_a_report_names_the_report(world: Any, asset: str, piece: str) -> None:
    world.damage(world.hashes[f"{asset} {piece}"])
    altered = _failures(world.verify(), "artifact altered")
    assert [(one.ref, one.part) for one in altered] == [(world.refs[asset], piece)]
    assert altered[0].expected != altered[0].found


def test_the_counts_that_are_kept_with_a_model_are_vouched_for_too(world: Any) -> None:
    world.damage(world.hashes["model accounting"])
    altered = _failures(world.verify(), "artifact altered")
    assert [(one.ref, one.part) for one in altered] == [(world.refs["model"], "accounting")]
    world.execute("UPDATE models SET details = :details", details=json.dumps({"accounting_sha256": "0" * 64}))
    differs = _failures(world.verify(), "record differs")
    assert [(one.ref, one.part, one.found) for one in differs] == [(world.refs["model"], "accounting", "0" * 64)]


def test_a_lost_artifact_is_named(world: Any) -> None:
    world.warehouse.artifacts.local_path(world.hashes["explanation json"]).unlink()
    missing = _failures(world.verify(), "artifact missing")
    assert [one.ref for one in missing] == [world.refs["explanation"]]


def test_an_artifact_that_no_statement_names_is_hashed_too(world: Any) -> None:
    stray = world.warehouse.artifacts.put_bytes(b"kept for later", media_type="text/plain")
    world.execute(
        "INSERT INTO artifacts VALUES (:sha256, 14, 'text/plain', '2026-01-01 00:00:00.000000')", sha256=stray.sha256
    )
    world.damage(stray.sha256)
    assert [one.ref for one in _failures(world.verify(), "artifact altered")] == [f"artifact:{stray.sha256}"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seed", 8),
        ("rows_in", 5),
        ("rows_out", None),
        ("seconds", 2.0),
        ("code_version", "9.9"),
        ("approval", "none"),
        ("parameters", '{"target": "age"}'),
        ("created_at", "2020-01-01 00:00:00.000000"),
        ("asset", "dataset"),
        ("dagster_run_id", "run-of-another"),
        ("attempt", 2),
        ("version", 3),
        ("trigger", '{"topic": "t"}'),
        ("statement_sha256", "f" * 64),
    ],
)
def test_an_edited_column_names_what_the_statement_made(world: Any, column: str, value: Any) -> None:
    number = world.statement_id("bias_report")
    world.execute(f'UPDATE statements SET "{column}" = :value WHERE id = :number', value=value, number=number)
    altered = _failures(world.verify(), "statement altered")
    assert [(one.ref, one.statement_id) for one in altered] == [(world.refs["bias_report"], number)]


@pytest.mark.parametrize(
    ("column", "value"), [("inputs", "[{}]"), ("outputs", "no json"), ("created_at", "never"), ("parameters", "{")]
)
def test_a_statement_that_cannot_be_read_any_more_is_named(world: Any, column: str, value: str) -> None:
    number = world.statement_id("model")
    world.execute(f'UPDATE statements SET "{column}" = :value WHERE id = :number', value=value, number=number)
    found = world.verify()
    assert [one.ref for one in _failures(found, "statement unreadable")] == [f"statement:{number}"]
    assert world.refs["model"] in {gap.ref for gap in found.gaps}


@pytest.mark.parametrize("asset", ["dataset", *ASSETS])
def test_a_deleted_statement_leaves_a_gap_at_its_node(world: Any, asset: str) -> None:
    assert world.execute("DELETE FROM statements WHERE asset = :asset", asset=asset) == 1
    found = world.verify()
    assert found.completeness == "incomplete"
    assert world.refs[asset] in {gap.ref for gap in found.gaps}
    with pytest.raises(IntegrityBroken):
        found.require()


def test_a_completed_pipeline_without_one_of_its_assets_is_incomplete(world: Any) -> None:
    world.execute("DELETE FROM statements WHERE asset = 'model_bias_report'")
    world.execute("DELETE FROM reports WHERE kind = 'model_bias'")
    found = world.verify()
    assert not found.failures
    (gap,) = found.gaps
    assert gap.ref.startswith("pipeline:")
    assert "model_bias_report" in gap.what


def test_an_output_swapped_with_its_statement_hash_breaks_the_link_to_its_readers(world: Any) -> None:
    """The attacker recomputes the statement's own hash: what read the old output still says so."""
    from millrace.warehouse.schema import Statement
    from millrace.warehouse.statements import statement_hash

    other = world.warehouse.artifacts.put_bytes(b"PAR1 other rows PAR1", media_type="application/parquet")
    with world.warehouse.read() as session:
        row = session.get_one(Statement, world.statement_id("dataset"))
        row.outputs = [{**one, "sha256": other.sha256} if one["part"] == "table" else one for one in row.outputs]
        forged, outputs = statement_hash(row), row.outputs
        session.expunge_all()
    world.execute(
        "UPDATE statements SET outputs = :outputs, statement_sha256 = :forged WHERE asset = 'dataset'",
        outputs=json.dumps(outputs),
        forged=forged,
    )
    world.execute("UPDATE dataset_versions SET table_sha256 = :other", other=other.sha256)
    found = world.verify()
    assert not _failures(found, "statement altered")
    differing = _failures(found, "input differs")
    assert {one.ref for one in differing} == {world.refs["dataset"]}
    assert {one.statement_id for one in differing} >= {
        world.statement_id("bias_report"),
        world.statement_id("model"),
    }


@pytest.mark.parametrize(
    ("statement", "node"),
    [
        ("UPDATE reports SET html_sha256 = json_sha256 WHERE kind = 'bias'", "bias_report"),
        ("UPDATE reports SET html_sha256 = NULL WHERE kind = 'bias'", "bias_report"),
        ("UPDATE models SET tree_sha256 = replace(tree_sha256, 'a', 'b')", "model"),
        ("UPDATE dataset_versions SET sha256 = table_sha256", "dataset"),
    ],
)
def test_a_row_that_shows_other_bytes_than_its_statement_is_named(world: Any, statement: str, node: str) -> None:
    assert world.execute(statement) == 1
    assert {one.ref for one in _failures(world.verify(), "record differs")} == {world.refs[node]}


@pytest.mark.parametrize(("table", "node"), [("models", "model"), ("reports", "bias_report")])
def test_a_deleted_row_is_named_by_the_statement_that_is_left(world: Any, table: str, node: str) -> None:
    world.execute(f"DELETE FROM {table}" + (" WHERE kind = 'bias'" if table == "reports" else ""))
    assert [one.ref for one in _failures(world.verify(), "record missing")] == [world.refs[node]]


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("DELETE FROM history WHERE seq = 3", "gap"),
        ("DELETE FROM history WHERE seq = 6", "gap"),
        ("UPDATE history SET seq = 7 WHERE seq = 6", "gap"),
        ("UPDATE history SET to_state = 'rejected' WHERE seq = 3", "failure"),
        ("UPDATE history SET seen_sha256 = NULL WHERE seq = 4", "failure"),
        ("UPDATE pipelines SET state = 'running'", "failure"),
        ("UPDATE pipelines SET revision = 5", "failure"),
        ("""UPDATE pipelines SET approvals = '{"xai": "bbbb"}'""", "failure"),
        ("UPDATE pipelines SET settings = '{}', state = 'completed', settings = '[1]'", "failure"),
    ],
)
def test_an_edited_history_names_the_pipeline(world: Any, statement: str, broken: str) -> None:
    world.execute(statement)
    found = world.verify()
    named = found.gaps if broken == "gap" else found.failures
    assert {one.ref for one in named} == {"pipeline:pl-00000000000000000001"}


def test_a_thing_is_judged_by_what_it_rests_on_and_nothing_else(world: Any) -> None:
    world.damage(world.hashes["bias_report html"])
    assert world.verify(world.refs["xai_report/beginner"]).failures == ()
    assert world.verify(world.refs["bias_report"]).failures != ()
    world.damage(world.hashes["table"])
    assert [one.ref for one in world.verify(world.refs["xai_report/beginner"]).failures] == [world.refs["dataset"]]


def test_progress_counts_to_the_total(world: Any) -> None:
    steps: list[tuple[int, int]] = []
    verify(
        world.warehouse, mlflow_url="http://127.0.0.1:9", progress=lambda done, total, _: steps.append((done, total))
    )
    assert [done for done, _ in steps] == list(range(len(steps)))
    assert {total for _, total in steps} == {len(steps)}


def test_the_json_says_both_verdicts_and_what_they_do_not_prove(world: Any) -> None:
    world.damage(world.hashes["raw"])
    found = world.verify().to_json()
    assert (found["integrity"], found["completeness"]) == ("broken", "complete")
    assert found["failures"][0]["ref"] == world.refs["dataset"]
    assert "signed" in found["limits"]
