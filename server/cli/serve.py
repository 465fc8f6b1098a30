"""`serve`: the server, in one process or several."""

import gc
import socket
import sys
from typing import Annotated

import typer

from server.cli.environment import UNAVAILABLE, fail, read_settings
from server.cli.migrate import prepare
from server.cli.process import BACKLOG, serve_process
from server.cli.supervisor import Supervisor
from server.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0: any free one (PORT).")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port (ROOMCAST_WORKERS).")] = None,
) -> None:
    """Serve the REST API and all sockets until SIGTERM or SIGINT."""
    settings = read_settings(host=host, port=port, workers=workers)
    prepare(settings)
    listeners = listen(settings, settings.workers)
    typer.echo(f"roomcast listens on {address(listeners[0])}")
    sys.stdout.flush()
    if settings.workers == 1:
        raise typer.Exit(serve_process(settings, listeners[0]))
    gc.freeze()  # what is loaded now is shared by all workers; a collection would touch, and so copy, every page of it
    supervisor = Supervisor(listeners, lambda listener, leash: serve_process(settings, listener, leash))
    raise typer.Exit(supervisor.run())


def listen(settings: Settings, count: int) -> list[socket.socket]:
    """Listening sockets on one port, one a worker; ends the command when the port cannot be had.

    With SO_REUSEPORT the kernel spreads connections evenly. They are opened here and inherited, so that connections
    which wait for a worker that died are taken by its successor."""
    listeners: list[socket.socket] = []
    port = settings.port
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        for _ in range(count):
            listeners.append(open_listener(family, kind, (target[0], port, *target[2:]), shared=count > 1))
            port = listeners[0].getsockname()[1]
    except OSError as error:
        fail(f"cannot listen on {settings.host}:{port}: {error.strerror}", UNAVAILABLE)
    return listeners


def open_listener(family: int, kind: int, target: tuple[object, ...], *, shared: bool) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(target)
    listener.listen(BACKLOG)
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
