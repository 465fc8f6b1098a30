"""`check-files`: after a backup was restored, which files the database does not know, and which are missing."""

from typing import Annotated

import typer

from server.actions.files import Comparison, Files
from server.cli.accounts import with_tools
from server.cli.environment import read_settings
from server.parts import Tools


def check_files(
    remove: Annotated[bool, typer.Option("--remove", help="Remove the files that the database does not know.")] = False,
) -> None:
    """Compare the storage of files with the database; servers may run meanwhile."""
    settings = read_settings()

    async def check(tools: Tools) -> Comparison:
        files = Files(tools.store, tools.storage)
        found = await files.compare()
        if remove:
            await files.discard(found.unknown)
        return found

    found = with_tools(settings, check, refused="the files cannot be checked")
    for key in found.missing:
        typer.echo(f"missing: {key}")
    done = "removed" if remove else "not known to the database"
    typer.echo(f"{len(found.unknown)} files {done}, {len(found.missing)} missing")
