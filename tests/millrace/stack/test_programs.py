"""What `millrace up` starts fits what it configures."""

from pathlib import Path

import yaml

from millrace.stack.dagster_home import source_file
from millrace.stack.programs import programs
from tests.conftest import MakeSettings


def test_the_pool_has_a_place_for_every_run_that_the_coordinator_lets_run(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    (pool,) = [one for one in programs(make_settings(tmp_path), broker=None) if one.name == "runs"]
    places = int(pool.command[pool.command.index("--max-children") + 1])
    instance = yaml.safe_load(source_file("dagster.yaml").read_text(encoding="utf-8"))
    assert places >= instance["concurrency"]["runs"]["max_concurrent_runs"]
