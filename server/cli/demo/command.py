"""The command: server up, clients connected, changes made, verdict."""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import typer
import uvloop
from rich.console import Console
from rich.live import Live

from server.cli.demo.changes import Change, changes
from server.cli.demo.listeners import connect_all
from server.cli.demo.report import Report
from server.cli.demo.rest import DemoFailed, Rest
from server.cli.demo.stage import build_stage
from server.cli.environment import fail, read_settings
from server.cli.migrate import bring_up_to_date
from server.cli.process import running
from server.cli.serve import address, listen
from server.settings import Settings

PATIENCE = 10.0  # seconds after the last change until what is still missing counts as missing
WIDTH = 170  # columns of the table where there is no terminal


def demo() -> None:
    """Show one change on every wire; ends with 1 when anything was missing or out of order.

    Uses a temporary SQLite database; with DATABASE_URL (and REDIS_URL) set, a new workspace in that database."""
    with tempfile.TemporaryDirectory(prefix="roomcast-demo-") as folder:
        settings = read_settings(**overrides(Path(folder)))
        bring_up_to_date(settings)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                passed = runner.run(show(settings))
        except DemoFailed as error:
            fail(str(error), 1)
    raise typer.Exit(0 if passed else 1)


def overrides(folder: Path) -> dict[str, Any]:
    """What the demo decides itself; everything else comes from the environment."""
    chosen: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "workers": 1,
        "allow_signups": True,
        "signup_creates_workspace": False,
        "shutdown_spread": 0.0,
        "log_level": "ERROR",
    }
    if not os.environ.get("DATABASE_URL"):
        chosen["database_url"] = f"sqlite:///{folder / 'demo.sqlite3'}"
    if not os.environ.get("SECRET_KEY"):
        chosen["secret_key"] = secrets.token_urlsafe(48)
    return chosen


async def show(settings: Settings) -> bool:
    """The whole demonstration; true when nothing was missing, out of order or too much."""
    (listener,) = listen(settings, 1)
    url = address(listener)
    async with running(settings, listener), aiohttp.ClientSession() as http:
        rest = Rest(http, url)
        stage = await build_stage(rest)
        arrived = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            report = Report(await connect_all(stack, http, url, stage, arrived), settings)
            await play(report, changes(rest, stage), arrived)
        await rest.call("DELETE", f"/api/workspaces/{stage.workspace_id}/")
        return report.passed


async def play(report: Report, script: Iterator[Change], arrived: asyncio.Event) -> None:
    """Makes the changes while the table shows what arrives, then prints the verdict."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH)
    with Live(console=console, get_renderable=report.table, refresh_per_second=10):
        for change in script:
            await report.make(change)
        await until_complete(report, arrived)
    if not terminal:
        console.print()  # Live ends without a line break there
    console.print(report.verdict())


async def until_complete(report: Report, arrived: asyncio.Event) -> None:
    """Waits until everything expected has arrived, or for `PATIENCE` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while report.missing:
                await arrived.wait()
                arrived.clear()
