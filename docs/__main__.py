"""Writes the generated pages of the documentation: `python -m docs`."""

from pathlib import Path
from typing import get_type_hints

from server.cli.config import page as settings_page
from server.events.event import CATALOGUE, ControlEvent, Event

HERE = Path(__file__).parent
HEAD = """# Messages

Every message type that the log can hold, from the catalogue in `server/events/`. The contracts in `docs/contracts/`
say what triggers each and what its values mean. This page is written by `make docs`.

| type | payload | audience | documented in |
| --- | --- | --- | --- |
"""
CONTROL = """
## Never sent

Changes of who is entitled to what; each relay applies them at their place in the log.

| type | payload | meaning |
| --- | --- | --- |
"""


def payload(event: type[Event]) -> str:
    """The keys of a payload with their types."""
    hints = get_type_hints(event)
    return ", ".join(f"`{name}` {type_name(hints[name])}" for name in event.__match_args__)


def type_name(hint: object) -> str:
    """A type as a reader wants it: without modules."""
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    for prefix in ("server.events.shapes.", "typing."):
        text = text.replace(prefix, "")
    return text.replace("|", "or")


def messages_page() -> str:
    """The tables of all message types."""
    sent = [event for event in CATALOGUE.values() if not issubclass(event, ControlEvent)]
    control = [event for event in CATALOGUE.values() if issubclass(event, ControlEvent)]
    rows = [f"| `{e.type}` | {payload(e)} | {', '.join(f'`{a}`' for a in e.audience)} | {e.source} |\n" for e in sent]
    ours = [f"| `{e.type}` | {payload(e)} | {' '.join((e.__doc__ or '').split())} |\n" for e in control]
    return HEAD + "".join(rows) + CONTROL + "".join(ours)


PAGES = {"settings.md": settings_page, "messages.md": messages_page}


def main() -> None:
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
