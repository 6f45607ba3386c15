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
    deps=[EVENTS_RAW, "scoring_model"],
    group_name="streams",
    kinds={"kafka"},
    owners=["team:models"],
    code_version=__version__,
    description="Events with the sentiment of their text, on the topic events.scored. The stream score_events writes "
    "them and leaves an observation at each checkpoint.",
)

FINANCIAL_DOCUMENTS = AssetSpec(
    "financial_documents",
    group_name="streams",
    kinds={"kafka"},
    owners=["team:data"],
    code_version=__version__,
    description="Financial documents as they are produced, on the topic financial-documents.",
)
LLM_RESULTS = AssetSpec(
    "llm_results",
    deps=[FINANCIAL_DOCUMENTS],
    group_name="streams",
    kinds={"kafka"},
    owners=["team:models"],
    code_version=__version__,
    description="What a language model said of each document, on the topic llm-results. The stream process_documents "
    "writes it and leaves an observation at each checkpoint.",
)

STREAM_ASSETS = (EVENTS_RAW, EVENTS_SCORED, FINANCIAL_DOCUMENTS, LLM_RESULTS)
