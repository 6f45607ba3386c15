"""What a page says of its origin."""

from typing import TYPE_CHECKING

from millrace.contracts.events import now

if TYPE_CHECKING:
    from millrace.pages.facts import PageFacts
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse


def page_facts(
    work: "StageWork", store: "Warehouse", *, report_hash: str | None = None, model: str | None = None
) -> "PageFacts":
    """The origin of a page that the work makes."""
    from millrace.pages.facts import PageFacts

    version = work.version
    return PageFacts(
        dataset=version.key.partition_key,
        version=version.version,
        sha256=version.sha256,
        code_version=store.code_version,
        created_at=now(),
        name=version.name,
        report_hash=report_hash,
        model=model,
        pipeline_id=work.request.pipeline_id,
    )
