"""A new champion in a running stream: real job, real broker, real MLflow, models that AutoML trained."""

import json
import os
import threading

import pytest

import definitions
from assets.tags import EPOCH, SLOT
from millrace.streams.wanted import start, stop
from millrace.text.adopt import adopt

# libraries of a model warn about each other; AutoML's own tests hold them to silence
pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("default")]
STREAM = "score_events"


def test_each_output_names_the_champion_that_made_it_and_a_restart_keeps_the_last_one(
    live, fresh, instance, send, wait_for, read_scored, mlflow_url, add_text_model, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
    settings = live.model_copy(update={"mlflow_url": mlflow_url})
    client, name = MlflowClient(mlflow_url), f"ada.reviews-{os.urandom(3).hex()}"
    first, second = (add_text_model(settings, fresh, name, seed=seed) for seed in (1, 2))
    client.set_registered_model_alias(name, "champion", first.version)
    adopt(settings, fresh, STREAM, f"models:/{name}@champion", actor="ada")

    def scored():
        return [json.loads(value) for value in read_scored()]

    def change():
        try:
            send(10)
            wait_for(lambda: len(scored()) >= 10)
            client.set_registered_model_alias(name, "champion", second.version)
            wait_for(lambda: said(instance, f"goes on with models:/{name}/{second.version}"))
            send(10)
            wait_for(lambda: len(scored()) >= 20)
        finally:
            stop(fresh, STREAM, actor="ada")

    def run(meanwhile):
        start(fresh, STREAM, processes=1, actor="ada")
        thread = threading.Thread(target=meanwhile)
        thread.start()
        result = definitions.defs.get_job_def(STREAM).execute_in_process(
            instance=instance, tags={SLOT: "0", EPOCH: "1"}, raise_on_error=False
        )
        thread.join(60)
        return result

    assert run(change).success
    made = [(one["ai_model"], one["model_version"]) for one in scored()]
    versions = [f"v{one.version}+{one.tree_sha256[:12]}" for one in (first, second)]
    assert sorted(made) == [(name, versions[0])] * 10 + [(name, versions[1])] * 10

    def again():
        try:
            send(5)
            wait_for(lambda: len(scored()) >= 25)
        finally:
            stop(fresh, STREAM, actor="ada")

    assert run(again).success
    assert sum(one["model_version"] == versions[1] for one in scored()) == 15


def said(instance, words):
    """Whether the newest run has said it."""
    return any(words in one.user_message for one in instance.all_logs(instance.get_runs()[0].run_id))
