"""An upload becomes a bias report, a model and three explanation reports; people decide on the way."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.broker]

SEED_FIELDS = {
    "bias-trigger-events": {
        "event_type", "dataset_id", "user_id", "target_column_name", "task_type", "timestamp", "metadata",
        "record_count",
    },
    "bias-events": {
        "event_type", "dataset_id", "user_id", "bias_report_id", "has_transformation_report", "target_column_name",
        "task_type", "timestamp",
    },
    "automl-trigger-events": {
        "event_type", "dataset_id", "user_id", "target_column_name", "task_type", "time_budget", "timestamp",
    },
    "automl-events": {
        "event_type", "event_id", "timestamp", "user_id", "model_id", "dataset_id", "version", "framework",
        "model_type", "algorithm", "model_size_mb", "training_accuracy", "validation_accuracy", "test_accuracy",
    },
    "xai-trigger-events": {"event_type", "user_id", "dataset_id", "model_id", "version", "level", "timestamp"},
    "xai-events": {
        "event_type", "event_id", "timestamp", "user_id", "dataset_id", "model_id", "report_type", "level",
        "xai_report_id",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(platform: Any, loans: Path, answers: dict[str, Any], quick: dict[str, Any]) -> dict[str, Any]:
    """The seed's curl line, then a person's answer and two approvals, one by REST and one by command."""
    uploaded = subprocess.run(
        [
            "curl", "-sS", "--fail-with-body", "-X", "POST", f"{platform.api.base_url}/datasets/upload",
            "-F", f"file=@{loans}", "-F", "user_id=user123", "-F", "dataset_id=test-dataset-1",
            "-F", "name=Test Dataset",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(uploaded.stdout)["version"] == 1
    pipeline_id = platform.pipeline_of("user123", "test-dataset-1")["id"]
    waiting = platform.reaches(pipeline_id, "waiting_for_answers")
    assert waiting["proposals"]["target"][0]["value"] == "approved"
    given = platform.api.post(f"/pipelines/{pipeline_id}/answer", json={"answers": answers, "settings": quick})
    assert given.status_code == 200, given.text
    platform.reaches(pipeline_id, "waiting_for_approval", stage="automl")
    assert platform.api.post(f"/pipelines/{pipeline_id}/approve", json={}).status_code == 200
    platform.reaches(pipeline_id, "waiting_for_approval", stage="xai")
    approved = platform.command("pipeline", "approve", pipeline_id)
    assert approved.code == 0, approved.errors
    return dict(platform.reaches(pipeline_id, "completed"))


def test_every_stage_left_its_report(finished: dict[str, Any]) -> None:
    kinds = sorted((report["kind"], report["level"]) for report in finished["reports"] if report["level"])
    assert kinds == [("xai", "beginner"), ("xai", "expert"), ("xai", "intermediate")]
    assert {"quality", "bias", "model_bias", "explanation"} <= {report["kind"] for report in finished["reports"]}
    assert finished["model"]["version"] == "v1"


def test_the_planted_bias_is_found(platform: Any, finished: dict[str, Any]) -> None:
    bias = next(report for report in finished["reports"] if report["kind"] == "bias")
    verdicts = {(v["attribute"], v["metric"]): v for v in bias["summary"]["verdicts"]}
    assert any(attribute == "sex" and v["verdict"] == "fail" for (attribute, _), v in verdicts.items())


def test_a_second_client_reads_the_payloads_of_the_flow(platform: Any, finished: dict[str, Any]) -> None:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        *SEED_FIELDS, bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=4000
    )
    seen: dict[str, list[dict[str, Any]]] = {}
    for message in consumer:
        assert (
            message.key == f"{json.loads(message.value)['user_id']}.{json.loads(message.value)['dataset_id']}".encode()
        )
        seen.setdefault(message.topic, []).append(json.loads(message.value))
    consumer.close()
    assert {topic: fields <= set(seen[topic][0]) for topic, fields in SEED_FIELDS.items()} == dict.fromkeys(
        SEED_FIELDS, True
    )


def test_the_view_of_the_flow_shows_each_level(platform: Any, finished: dict[str, Any]) -> None:
    for level in ("beginner", "intermediate", "expert"):
        page = platform.api.get(f"/xai-reports/user123/test-dataset-1/test-dataset-1/model_explanation/{level}/view")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert len(page.content) < 3_000_000
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_history_tells_who_decided_what(platform: Any, finished: dict[str, Any]) -> None:
    history = platform.api.get(f"/pipelines/{finished['id']}/history").json()
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1))
    assert history[-1]["to_state"] == "completed"
    printed = platform.command("pipeline", "history", finished["id"], "--json")
    assert printed.code == 0


def test_the_chain_verifies_and_a_flipped_byte_is_named(platform: Any, finished: dict[str, Any]) -> None:
    clean = platform.command("lineage", "verify", "--json")
    assert clean.code == 0, clean.output + clean.errors
    report = next(report for report in finished["reports"] if report["kind"] == "bias")
    digest = report["html_sha256"]
    artifact = next(path for path in (platform.home / "artifacts").rglob(f"*{digest}*"))
    before = artifact.read_bytes()
    artifact.chmod(0o644)
    artifact.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        broken = platform.command("lineage", "verify", f"report:{report['report_id']}", "--json")
    finally:
        artifact.write_bytes(before)
    assert broken.code == 6
    assert report["report_id"] in broken.output


def test_the_graph_has_every_asset_partitioned_by_data_set(platform: Any, finished: dict[str, Any]) -> None:
    found = platform.graphql("{ assetNodes { assetKey { path } isPartitioned isMaterializable } }")["assetNodes"]
    keys = {"/".join(node["assetKey"]["path"]): node for node in found}
    expected = {"dataset", "data_quality", "bias_report", "model", "model_bias_report", "explanation"}
    expected |= {f"xai_report/{level}" for level in ("beginner", "intermediate", "expert")}
    assert expected <= set(keys)
    assert all(keys[key]["isPartitioned"] for key in expected)


BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
BACKFILL_STATE = "query State($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status } } }"  # noqa: E501


def test_a_backfill_of_bias_reports_over_three_data_sets_succeeds(
    platform: Any, finished: dict[str, Any], loans: Path, tmp_path: Path, waits: Any
) -> None:
    keys, few = [f"user123.backfill-{number}" for number in range(3)], tmp_path / "few.csv"
    few.write_text("".join(loans.read_text().splitlines(keepends=True)[:401]))
    for key in keys:
        platform.upload(few, *key.split("."))
    query = "{ assetNodes(group: null) { assetKey { path } partitionKeysByDimension { partitionKeys } } }"

    def registered() -> bool:
        nodes = platform.graphql(query.replace("(group: null)", ""))["assetNodes"]
        dataset = next(node for node in nodes if node["assetKey"]["path"] == ["dataset"])
        return set(keys) <= set(dataset["partitionKeysByDimension"][0]["partitionKeys"])

    waits(registered, "the data sets as partitions")
    params = {"assetSelection": [{"path": ["bias_report"]}], "partitionNames": keys, "fromFailure": False}
    launched = platform.graphql(BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def status() -> str:
        return str(platform.graphql(BACKFILL_STATE, id=launched["backfillId"])["partitionBackfillOrError"]["status"])

    waits(lambda: status() in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED"), "the backfill", seconds=180)
    assert status() == "COMPLETED_SUCCESS"
