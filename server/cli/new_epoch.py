"""`new-epoch`: after a backup was restored, so that no client goes on from a log that is no longer there."""

from typing import Annotated

import typer

from server.cli.accounts import with_tools
from server.cli.environment import read_settings
from server.parts import Tools
from server.store.database import database_name
from server.store.epochs import Epoch, begin_epoch


def new_epoch(
    above: Annotated[
        int,
        typer.Option(min=0, help="Begin above this id too: where one epoch began after the backup that was restored."),
    ] = 0,
) -> None:
    """Begin a new epoch of the log after a backup was restored; no server may run meanwhile."""
    settings = read_settings()

    async def begin(tools: Tools) -> Epoch:
        return await tools.store.write(begin_epoch, above=above)

    epoch = with_tools(settings, begin, refused="no epoch can begin")
    typer.echo(f"{database_name(settings.database_url)}: the restored log ended at {epoch.restored_at}")
    typer.echo(f"removed {epoch.removed} events; a new epoch begins at {epoch.began}")
