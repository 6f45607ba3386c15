"""What routes are given: the settings, the warehouse and the conductor's service."""

from typing import Annotated

from fastapi import Depends, Request

from millrace.conductor.service import Conductor
from millrace.settings import Settings
from millrace.warehouse.store import Warehouse


def settings_of(request: Request) -> Settings:
    """The settings that the application was made with."""
    found: Settings = request.app.state.settings
    return found


def warehouse_of(request: Request) -> Warehouse:
    """The open warehouse."""
    found: Warehouse = request.app.state.warehouse
    return found


def conductor_of(request: Request) -> Conductor:
    """The conductor's service on the same warehouse."""
    found: Conductor = request.app.state.conductor
    return found


Config = Annotated[Settings, Depends(settings_of)]
Store = Annotated[Warehouse, Depends(warehouse_of)]
Service = Annotated[Conductor, Depends(conductor_of)]
