"""Ports that the platform needs, and who holds them when they are taken."""

import socket
from collections.abc import Iterable

import psutil

from millrace.contracts.errors import BadInput
from millrace.stack.programs import Port, Program


def check_ports(programs: Iterable[Program]) -> None:
    """Comes back when every port of the programs is free and no two of them are the same.

    Raises:
        BadInput: a port is taken; names its setting and who holds it.
    """
    claimed: dict[int, str] = {}
    for program in programs:
        for port in program.ports:
            if port.number in claimed:
                raise BadInput(
                    f"port {port.number} is wanted twice, by {claimed[port.number]} and {port.setting}",
                    field=port.setting,
                    remedy=f"set {port.setting} to another port",
                )
            claimed[port.number] = port.setting
            if taken(port):
                raise BadInput(
                    f"port {port.number}, which {program.name} needs, is taken by {holder(port.number)}",
                    field=port.setting,
                    remedy=f"set {port.setting} to a free port, or end what holds this one",
                )


def taken(port: Port) -> bool:
    """Whether something listens on the port, on any address of this machine."""
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as one:
            # what a server does: a connection that is still closing takes no port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((address, port.number))
            except OSError:
                return True
    return False


def holder(number: int) -> str:
    """Who holds a port: name and pid, or `another process` where the system does not tell."""
    try:
        held = [one for one in psutil.net_connections("tcp") if one.laddr.port == number and one.pid is not None]
        # an outgoing connection can hold a port too; whoever listens is the likelier culprit
        held.sort(key=lambda one: one.status != psutil.CONN_LISTEN)
        if held:
            return f"{psutil.Process(held[0].pid).name()} (pid {held[0].pid})"
    except psutil.Error:
        return "another process"
    return "another process"
