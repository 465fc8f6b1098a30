"""`config`: every setting with its documentation; `docs/settings.md` is written by it."""

import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server import logs
from server.cli.environment import fail
from server.settings import Settings, SettingsError, env_name

WIDTH = 200  # columns of the table where there is no terminal
HEAD = """# Settings

Read once, at start-up, from the environment; an empty variable counts as not set. `python -m server config` prints
the values in use. This page is written by `python -m server config --markdown`.

"""


class Entry(NamedTuple):
    """A setting as it is shown; secrets are not."""

    variable: str
    type: str
    default: str
    unit: str
    value: str
    doc: str


def config(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """Print every setting: variable, type, default, unit, value in use, meaning."""
    if markdown:
        typer.echo(page(), nl=False)
        return
    table = Table("variable", "type", "default", "unit", "value", "meaning")
    for entry in entries(current()):
        table.add_row(*map(Text, entry))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def current() -> Settings:
    """The settings in use; a secret key is not made for a look at them."""
    try:
        return Settings.from_environ({"SECRET_KEY": "(kept beside the file of the SQLite database)"} | os.environ)
    except SettingsError as error:
        fail(str(error))


def entries(settings: Settings) -> Iterator[Entry]:
    """All settings in their order."""
    for name, field in Settings.model_fields.items():
        about: Any = field.json_schema_extra
        value = shown(getattr(settings, name), about["secret"])
        kind = getattr(field.annotation, "__name__", "")
        yield Entry(env_name(name, field), kind, plain(field.default), about["unit"], value, field.description or "")


def plain(value: Any) -> str:
    """A value as it is written in the environment."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(value: Any, secret: bool) -> str:
    """A value for people: of a URL without its password, of any other secret only that it is set."""
    text = plain(value)
    if not secret or not text:
        return text
    return logs.redact(text) if "://" in text else logs.REDACTED


def page() -> str:
    """The whole of docs/settings.md."""
    lines = ["| variable | type | default | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for entry in entries(Settings()):
        default = f"`{entry.default}`" if entry.default else ""
        lines.append(f"| `{entry.variable}` | {entry.type} | {default} | {entry.unit} | {entry.doc} |")
    return HEAD + "\n".join(lines) + "\n"
