"""The settings of a pipeline: the platform's defaults, what the user set, what the pipeline sets."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from millrace.bias.policy import find_policy
from millrace.contracts.errors import BadInput
from millrace.contracts.stages import BIAS_POLICIES
from millrace.contracts.task import PipelineSettings
from millrace.settings import Settings

Layer = Mapping[str, Any]


def platform_defaults(settings: Settings) -> dict[str, Any]:
    """Pipeline settings that follow from the environment."""
    return {
        "policy": settings.policy,
        "time_budget": settings.time_budget,
        "retries": settings.stage_retries,
        "bias_policy": settings.bias_policy,
        "executors": {
            "bias": settings.bias_executor,
            "automl": settings.automl_executor,
            "xai": settings.xai_executor,
        },
    }


def merge_settings(settings: Settings, *layers: Layer) -> PipelineSettings:
    """The settings that result; a later layer wins, executors stage by stage.

    Approvals that no layer names are all for `ask` and none for `autopilot`; a layer that sets the policy alone takes
    back the approvals of the layers below it.

    Raises:
        BadInput: a setting that does not exist or a value it does not take; names it.
    """
    merged = platform_defaults(settings)
    for layer in layers:
        if "policy" in layer and "approvals" not in layer:
            merged.pop("approvals", None)
        executors = layer.get("executors")
        if isinstance(executors, Mapping):
            layer = {**layer, "executors": {**merged["executors"], **executors}}
        merged.update(layer)
    if merged["policy"] == "autopilot":
        merged.setdefault("approvals", ())
    return checked_settings(merged | _pinned(settings, merged["bias_policy"]))


def _pinned(settings: Settings, name: Any) -> dict[str, Any]:
    """The bias policy's hash, and whether it holds back: facts of the policy, never of a layer."""
    if name not in BIAS_POLICIES and name != settings.bias_policy:
        # a user names no file of this machine
        raise BadInput(
            f"setting bias_policy cannot be {str(name)[:80]!r}", field="bias_policy", remedy=_remedy("bias_policy")
        )
    policy = find_policy(name)
    return {"bias_policy_sha256": policy.sha256, "bias_policy_holds": policy.severity == "error"}


def checked_settings(values: Layer) -> PipelineSettings:
    """The settings, when each is one that exists and takes its value.

    Raises:
        BadInput: names the first that does not.
    """
    try:
        return PipelineSettings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        if first["type"] == "extra_forbidden":
            known = ", ".join(PipelineSettings.model_fields)
            raise BadInput(f"there is no setting {field!r}", field=field, remedy=f"use one of {known}") from error
        raise BadInput(
            f"setting {field} cannot be {str(first['input'])[:80]!r}: {first['msg']}",
            field=field,
            remedy=_remedy(field),
        ) from error


def _remedy(field: str) -> str:
    remedies = {
        "time_budget": "give whole seconds between 1 and 86400, such as 60",
        "levels": "name one or more of beginner, intermediate, expert",
        "approvals": "name automl, xai, both or none",
        "policy": "choose ask or autopilot",
        "retries": "give a whole number between 0 and 20",
        "bias_policy": f"choose one of {', '.join(BIAS_POLICIES)}, or leave it out for the platform's own",
        "executors": "give dagster or external for bias, automl or xai",
    }
    return remedies.get(field, "see PipelineSettings in the API's documentation")
