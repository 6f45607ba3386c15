"""Finds and ends runs through Dagster's GraphQL endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from millrace.contracts.control import LiveRun, RunControl
from millrace.contracts.errors import CannotReach

PIPELINE_TAG = "millrace/pipeline"
EVENT_TAG = "millrace/event-id"
LIVE_STATUSES = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")
ENDED_STATUSES = ("SUCCESS", "FAILURE", "CANCELED")
TIMEOUT_SECONDS = 5.0
"""Below the 10 s within which a cancelled pipeline's runs end: one request that hangs must not use them up."""
MOST_RUNS = 100

_RUNS = """
query Runs($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs { results { runId status } }
    ... on InvalidPipelineRunsFilterError { message }
    ... on PythonError { message }
  }
}
"""
_TERMINATE = """
mutation Terminate($runIds: [String!]!, $policy: TerminateRunPolicy!) {
  terminateRuns(runIds: $runIds, terminatePolicy: $policy) {
    __typename
    ... on PythonError { message }
  }
}
"""


class Runs(RunControl, Protocol):
    """What the conductor asks of the orchestrator."""

    def of_event(self, event_id: str) -> Sequence[LiveRun]:
        """Runs that the trigger event became, ended ones too.

        Raises:
            CannotReach: the orchestrator does not answer.
        """
        ...

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, str]:
        """Run id → status of those that exist.

        Raises:
            CannotReach: the orchestrator does not answer.
        """
        ...

    def mark_cancelled(self, run_ids: Sequence[str]) -> None:
        """Records as cancelled runs whose processes are known to be gone.

        Raises:
            CannotReach: the orchestrator does not answer.
        """
        ...


class DagsterRunControl:
    """Runs of a Dagster webserver at `url`."""

    def __init__(self, url: str) -> None:
        import httpx

        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)

    def live_runs(self, pipeline_id: str) -> Sequence[LiveRun]:
        """Runs of the pipeline that have not ended.

        Raises:
            CannotReach: Dagster does not answer.
        """
        return self._find(tags=[{"key": PIPELINE_TAG, "value": pipeline_id}], statuses=list(LIVE_STATUSES))

    def of_event(self, event_id: str) -> Sequence[LiveRun]:
        """Runs that the trigger event became, ended ones too.

        Raises:
            CannotReach: Dagster does not answer.
        """
        return self._find(tags=[{"key": EVENT_TAG, "value": event_id}])

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, str]:
        """Run id → Dagster's status of those that exist.

        Raises:
            CannotReach: Dagster does not answer.
        """
        if not run_ids:
            return {}
        return {run.run_id: run.status for run in self._find(runIds=list(run_ids))}

    def terminate(self, run_ids: Sequence[str]) -> None:
        """Asks that the runs end; ending one that has ended changes nothing.

        Raises:
            CannotReach: Dagster does not answer.
        """
        self._terminate(run_ids, "SAFE_TERMINATE")

    def mark_cancelled(self, run_ids: Sequence[str]) -> None:
        """Records as cancelled runs whose processes are known to be gone.

        Raises:
            CannotReach: Dagster does not answer.
        """
        self._terminate(run_ids, "MARK_AS_CANCELED_IMMEDIATELY")

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    def _terminate(
        self, run_ids: Sequence[str], policy: Literal["SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"]
    ) -> None:
        # a run that cannot be ended (it has ended, or is ending) is no error: the next look at the live runs tells
        if run_ids:
            self._ask(_TERMINATE, {"runIds": list(run_ids), "policy": policy}, "terminateRuns")

    def _find(self, **wanted: Any) -> list[LiveRun]:
        answer = self._ask(_RUNS, {"filter": wanted, "limit": MOST_RUNS}, "runsOrError")
        return [LiveRun(run_id=run["runId"], status=run["status"]) for run in answer["results"]]

    def _ask(self, query: str, variables: dict[str, Any], field: str) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.post("/graphql", json={"query": query, "variables": variables})
            response.raise_for_status()
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        answer = (body.get("data") or {}).get(field)
        if not isinstance(answer, dict) or "message" in answer:
            raise self._unreachable(str((answer or {}).get("message") or body.get("errors") or body)[:500])
        return answer

    def _unreachable(self, reason: str) -> CannotReach:
        return CannotReach(
            f"Dagster at {self._client.base_url} does not answer: {reason}", remedy="see `millrace status`"
        )
