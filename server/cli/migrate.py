"""`migrate`: brings the database up to date; the release phase of a deployment."""

import typer
from peewee import PeeweeException

from server.cli.environment import UNAVAILABLE, fail, read_settings
from server.settings import Settings
from server.store.database import database_name
from server.store.migrate import lacking
from server.store.migrate import migrate as apply


def migrate() -> None:
    """Apply all pending migrations to the database."""
    settings = read_settings()
    for name in bring_up_to_date(settings):
        typer.echo(f"applied {name}")
    typer.echo(f"{database_name(settings.database_url)} is up to date")


def bring_up_to_date(settings: Settings) -> list[str]:
    """Applies pending migrations and returns their names; ends the command when the database cannot be reached."""
    try:
        return apply(settings.database_url)
    except (PeeweeException, OSError) as error:
        fail(f"{database_name(settings.database_url)}: {error}", UNAVAILABLE)


def prepare(settings: Settings) -> None:
    """Before serving: SQLite is brought up to date; elsewhere that is the release phase's work, once for all
    processes, so a database that lacks migrations ends the command."""
    if settings.sqlite_path is not None:
        bring_up_to_date(settings)
        return
    name = database_name(settings.database_url)
    try:
        missing = lacking(settings.database_url)
    except PeeweeException as error:
        fail(f"{name}: {error}", UNAVAILABLE)
    if missing:
        fail(f"{name} lacks migrations: {', '.join(missing)}. Run: python -m server migrate")
