"""The warehouse as a Dagster resource."""

from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource, InitResourceContext
from pydantic import PrivateAttr

from millrace import settings
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.warehouse.store import Warehouse


class WarehouseResource(ConfigurableResource):
    """Metadata, bytes and outbox, where the environment of the run says they are."""

    # a type of ours only in name: importing it would bring SQLAlchemy's setup into every import of the code location
    _store: Any = PrivateAttr(default=None)

    def settings(self) -> Settings:
        """The platform's settings, read when asked for.

        Raises:
            BadInput: a variable of the environment does not hold what it must.
        """
        return settings.load()

    def open(self) -> "Warehouse":
        """The warehouse; connects when it is first asked something. The same one until the resource is torn down.

        Raises:
            BadInput: a variable of the environment does not hold what it must.
        """
        from millrace.warehouse.store import open_warehouse

        if self._store is None:
            self._store = open_warehouse(self.settings())
        store: Warehouse = self._store
        return store

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Closes the connections: Dagster makes the resource anew for every tick of a sensor."""
        if self._store is not None:
            self._store.engine.dispose()
            self._store = None
