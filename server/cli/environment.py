"""What every command begins with: settings from the environment, logs, a clear word when something is wrong."""

import os
from typing import Any, NoReturn

import typer

from server import logs
from server.settings import Settings, SettingsError

MISCONFIGURED = 2  # exit status: the environment cannot be used as it is
UNAVAILABLE = 1  # exit status: the database cannot be reached


def fail(message: str, status: int = MISCONFIGURED) -> NoReturn:
    """Says what is wrong and ends the command."""
    typer.echo(f"roomcast: {logs.redact(message)}", err=True)
    raise typer.Exit(status)


def read_settings(**overrides: Any) -> Settings:
    """The settings of the environment and the command line; ends the command when they cannot be used."""
    try:
        settings = Settings.from_environ(os.environ, **overrides)
    except SettingsError as error:
        fail(str(error))
    except OSError as error:
        fail(f"the secret key beside the database cannot be kept: {error}")
    logs.configure(settings.log_format, settings.log_level)
    return settings
