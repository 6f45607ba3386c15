"""Events that Kafka lost after it had taken them are taken from the outbox."""

from datetime import timedelta

from sqlalchemy import select, update

from millrace.conductor.unseen import Unseen
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.warehouse.schema import DatasetVersion, Outbox, Pipeline


def sent(bench, *, ago: float) -> None:
    with bench.warehouse.transaction() as session:
        session.execute(
            update(Outbox).values(sent_at=now() - timedelta(seconds=ago), sent_to={"partition": 0, "offset": 7})
        )


def test_only_what_was_sent_a_while_ago_and_never_came_is_taken_and_once(bench):
    unseen = Unseen(bench.conductor, bench.warehouse, bench.settings.topics)
    bench.store()
    assert unseen.once(now()) == 0
    sent(bench, ago=30)
    assert unseen.once(now()) == 0
    sent(bench, ago=90)
    assert unseen.once(now()) == 1
    assert unseen.once(now()) == 0
    with bench.warehouse.read() as session:
        pipeline = session.scalars(select(Pipeline)).one()
    assert pipeline.state == "waiting_for_answers"
    assert [bench.conductor.on_event(record) for record in bench.records()] == ["duplicate"]


def test_a_result_that_was_lost_on_the_way_advances_its_pipeline(bench):
    unseen = Unseen(bench.conductor, bench.warehouse, bench.settings.topics)
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, None, actor="user:ada")
    bench.work(pipeline, "bias")
    sent(bench, ago=90)
    # stage.started and bias.reported
    assert unseen.once(now()) == 2
    assert bench.state(pipeline) == ("waiting_for_approval", "automl")


def test_an_event_that_cannot_be_used_is_tried_once(make_bench):
    bench = make_bench()
    unseen = Unseen(bench.conductor, bench.warehouse, bench.settings.topics)
    bench.store(key=DatasetKey("ada", "other"))
    bench.store()
    with bench.warehouse.transaction() as session:
        session.execute(update(DatasetVersion).where(DatasetVersion.dataset_id == "other").values(sha256="f" * 64))
    sent(bench, ago=90)
    assert unseen.once(now()) == 2
    assert unseen.once(now()) == 0
