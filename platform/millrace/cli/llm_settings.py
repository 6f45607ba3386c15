"""The settings of `millrace llm`, in which KAFKA_BROKERS alone leads to a cluster."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.settings import Settings


def llm_settings() -> "Settings":
    """The environment's settings; brokers that it names are used unless MILLRACE_MODE says LOCAL_SIM itself.

    Raises:
        BadInput: a variable that does not hold what it must.
    """
    from millrace.settings import load

    settings = load()
    if settings.kafka_bootstrap is not None and "mode" not in settings.model_fields_set:
        return settings.model_copy(update={"mode": "KAFKA"})
    return settings
