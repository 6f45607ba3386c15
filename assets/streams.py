"""Topics that streams read and write, as external assets: processes of ours observe them at their checkpoints."""

from dagster import AssetSpec

from millrace import __version__

EVENTS_RAW = AssetSpec(
    "events_raw",
    group_name="streams",
    kinds={"kafka"},
    owners=["team:data"],
    code_version=__version__,
    description="Events as they are produced, on the topic events.raw.",
)
EVENTS_SCORED = AssetSpec(
    "events_scored",
    deps=[EVENTS_RAW],
    group_name="streams",
    kinds={"kafka"},
    owners=["team:models"],
    code_version=__version__,
    description="Events with the sentiment of their text, on the topic events.scored. The stream score_events writes "
    "them and leaves an observation at each checkpoint.",
)

STREAM_ASSETS = (EVENTS_RAW, EVENTS_SCORED)
