"""An idle relay looks again when another connection has committed, and not before."""

from pathlib import Path

from millrace.warehouse.looks import looks_at
from millrace.warehouse.store import Warehouse


def test_a_look_is_due_first_and_after_a_commit_of_any_other_connection(light_warehouse: Warehouse, write) -> None:
    looks = looks_at(light_warehouse.engine)
    assert looks.due()
    assert not looks.due()
    write(light_warehouse, 1)
    assert looks.due()
    with light_warehouse.read():
        assert not looks.due()
    looks.close()


def test_a_database_that_cannot_be_asked_is_looked_at(light_warehouse: Warehouse) -> None:
    looks = looks_at(light_warehouse.engine)
    assert looks.due()
    assert not looks.due()
    looks.close()
    path = Path(str(light_warehouse.engine.url.database))
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    light_warehouse.engine.dispose()
    assert looks.due()
    assert looks.due()


def test_on_postgresql_every_look_may_find_something(warehouse: Warehouse) -> None:
    looks = looks_at(warehouse.engine)
    assert looks.due()
    assert looks.due() == (warehouse.engine.dialect.name == "postgresql")
    looks.close()
