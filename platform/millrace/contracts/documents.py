"""Documents for a language model, and what came of them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from millrace.contracts.scoring import Source

Id = Annotated[str, StringConstraints(min_length=1, max_length=256, strict=True)]
Status = Literal["ok", "truncated", "refused", "invalid"]
"""`ok`: an answer that follows the schema. `truncated`: the token limit cut it off. `refused`: the model declined, or a
filter did. `invalid`: the answer did not follow the schema, asked again neither."""


class FinancialDocument(BaseModel):
    """One document. Unknown fields are ignored; `id` and `doc_id` name it too, `content` and `body` hold text too."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic_field: ClassVar[str] = "documents"

    document_id: Id = Field(validation_alias=AliasChoices("document_id", "doc_id", "id"))
    document_type: Annotated[str, StringConstraints(max_length=64, strict=True)] = "document"
    title: Annotated[str, StringConstraints(max_length=1_000, strict=True)] = ""
    text: Annotated[str, StringConstraints(min_length=1, strict=True)] = Field(
        validation_alias=AliasChoices("text", "content", "body")
    )


class LlmResult(BaseModel):
    """What came of one document. Times are seconds; tokens are summed over `requests`, None if one was not counted."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic_field: ClassVar[str] = "llm_results"

    schema_version: Literal[1] = 1
    document_id: str
    document_type: str
    status: Status
    answer: dict[str, Any] | None
    """Follows the schema; None unless the status is ok, or truncated behind a whole answer."""
    text: str | None = None
    """What the model said, where it is no answer."""
    problems: tuple[str, ...] = ()
    """Why the text is no answer."""
    finish_reason: str
    model: str
    """As the server names it."""
    requested_model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_used: int | None
    processing_time: float
    """From the first question to the last answer, waiting for a free request included."""
    server_time: float
    """The requests' own times, summed: those of the parts of one document overlap."""
    requests: int
    repaired: bool
    """Whether the first answer did not follow the schema."""
    chunks: int
    """Parts that the document was read in; 1 when it fits the context."""
    prompt_sha256: str
    """Of the messages that ask about the whole document, whether or not it was read in parts."""
    parameters_sha256: str
    source: Source
    processed_at: datetime
    code_version: str

    def to_bytes(self) -> bytes:
        """JSON in UTF-8."""
        return self.model_dump_json().encode()
