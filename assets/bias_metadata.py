"""What both bias reports say of themselves: verdicts as Dagster shows them, the policy, and the bytes measured."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, MarkdownMetadataValue, PreviewWarning

from assets.metadata import markdown_table
from assets.partitions import DATASETS

if TYPE_CHECKING:
    from millrace.bias.origin import Source
    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport
    from millrace.warehouse.models import ModelFacts
    from millrace.warehouse.stage_work import StageWork

CHECK = "bias_policy"
COLUMNS = ("attribute", "metric", "value", "low", "high", "verdict")


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> MarkdownMetadataValue:
    """One line for each attribute and metric, with the interval that the verdict rests on."""
    return markdown_table(COLUMNS, [[verdict.get(name) for name in COLUMNS] for verdict in verdicts])


def source_of(work: "StageWork", model: "ModelFacts | None" = None) -> "Source":
    """The data set version, and the model whose predictions were measured."""
    from millrace.bias.origin import Source

    version = work.version
    return Source(
        sha256=version.sha256,
        dataset=version.key.partition_key,
        version=version.version,
        table_sha256=version.table_sha256,
        model=None if model is None else f"v{model.version}",
        model_sha256=None if model is None else model.tree_sha256,
    )


def policy_spec(asset: str) -> AssetCheckSpec:
    """The check of a bias report against its policy. It blocks nothing: the conductor alone holds stages back."""
    with warnings.catch_warnings():
        # as for the checks of data_quality
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(
            CHECK,
            asset=asset,
            description="Every judged figure passes the bias policy. The severity is the policy's; under one whose "
            "severity is error a person must decide before the pipeline goes on.",
            partitions_def=DATASETS,
        )


def policy_check(asset: str, report: "BiasReport") -> AssetCheckResult:
    """Passed when the verdict is pass; the severity is the policy's."""
    from millrace.bias.wording import headline

    error = report.policy.severity == "error"
    return AssetCheckResult(
        asset_key=asset,
        check_name=CHECK,
        passed=report.verdict == "pass",
        severity=AssetCheckSeverity.ERROR if error else AssetCheckSeverity.WARN,
        description=headline(report),
        metadata={
            "policy": f"{report.policy.name} {report.policy.version}",
            "policy SHA-256": report.policy.sha256,
            "verdict": report.verdict or "none",
        },
    )


def policy_of(work: "StageWork") -> "Policy":
    """The policy of the pipeline as it was pinned; for a launch by hand that of the newest pipeline or the platform.

    Raises:
        BadInput: there is no such policy.
        Conflict: the policy has changed since the pipeline began.
    """
    from millrace import settings as environment
    from millrace.bias.policy import pinned_policy

    settings = work.settings
    name = settings.bias_policy if "bias_policy" in settings.model_fields_set else environment.load().bias_policy
    return pinned_policy(name, settings.bias_policy_sha256 if work.fenced else None)


def policy_facts(policy: "Policy") -> dict[str, Any]:
    """The policy as a statement's parameters name it."""
    return {"bias_policy": {"name": policy.name, "version": policy.version, "sha256": policy.sha256}}
