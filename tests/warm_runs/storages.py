"""What either of two classes of one storage must read and go on with."""

from typing import Any

from dagster import AssetKey, DagsterInstance, DagsterRunStatus
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData


def check_that_it_goes_on(writer: DagsterInstance, reader: DagsterInstance, makes: Any) -> None:
    """`makes` is a job that materialises the asset `thing`."""
    run_id = makes.execute_in_process(instance=writer).run_id
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository"), "a_sensor"
    )
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData(cursor="7"))
    writer.add_instigator_state(state)
    writer.add_dynamic_partitions("files", ["one"])

    run = reader.get_run_by_id(run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.SUCCESS
    told = [record.message for record in reader.all_logs(run_id)]
    assert told == [record.message for record in writer.all_logs(run_id)]
    assert len(told) > 10
    assert [key.to_user_string() for key in reader.all_asset_keys()] == ["thing"]
    assert reader.get_dynamic_partitions("files") == ["one"]
    assert [one.instigator_data for one in reader.all_instigator_state()] == [state.instigator_data]

    makes.execute_in_process(instance=reader)
    assert writer.get_runs_count() == 2
    assert len(writer.fetch_materializations(AssetKey("thing"), limit=5).records) == 2
