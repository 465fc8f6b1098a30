"""What was expected against what was received, as a table and as a verdict."""

import itertools
import time
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from server.cli.demo.changes import Change, Expected, Message
from server.cli.demo.listeners import Listener
from server.settings import Settings
from server.store.database import database_name


@dataclass
class Made:
    """A change that was made: when its request began, and what must be received."""

    title: str
    began: float
    expected: Expected


@dataclass
class Account:
    """The reckoning for one client: `arrivals[i]` is the position of the i-th expected message among the received
    ones, None while it is missing; `surplus` are those that nobody expected."""

    arrivals: list[int | None]
    surplus: list[Message]

    @property
    def missing(self) -> int:
        return self.arrivals.count(None)

    @property
    def out_of_order(self) -> int:
        positions = [position for position in self.arrivals if position is not None]
        return sum(later < earlier for earlier, later in itertools.pairwise(positions))


def holds(message: Any, expected: Any) -> bool:
    """Whether a message has everything that is expected of it; objects may have more keys."""
    if isinstance(expected, dict):
        return isinstance(message, dict) and all(
            key in message and holds(message[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(message, list)
            and len(message) == len(expected)
            and all(holds(*pair) for pair in zip(message, expected, strict=True))
        )
    return bool(message == expected)


def reckon(received: list[Message], expected: list[Message]) -> Account:
    """Finds each expected message among the received ones; none counts twice."""
    free = dict(enumerate(received))
    arrivals: list[int | None] = []
    for wanted in expected:
        found = next((position for position, message in free.items() if holds(message, wanted)), None)
        arrivals.append(found)
        free.pop(-1 if found is None else found, None)
    return Account(arrivals, list(free.values()))


class Report:
    """Makes changes, and knows at any time what has arrived of them."""

    def __init__(self, listeners: list[Listener], settings: Settings) -> None:
        self.listeners = listeners
        self.made: list[Made] = []
        self.title = database_name(settings.database_url) if settings.sqlite_path is None else "SQLite"
        self.title += ", Redis" if settings.redis_url else ", one process"

    async def make(self, change: Change) -> None:
        """Makes a change; does not wait for its messages."""
        made = Made(change.title, time.perf_counter(), {})
        made.expected = await change.make()
        self.made.append(made)

    def account(self, listener: Listener, changes: list[Made]) -> Account:
        expected = [message for made in changes for message in made.expected.get(listener.name, [])]
        return reckon([message for _, message in list(listener.received)], expected)

    @property
    def accounts(self) -> list[Account]:
        return [self.account(listener, self.made) for listener in self.listeners]

    @property
    def missing(self) -> int:
        return sum(account.missing for account in self.accounts)

    @property
    def passed(self) -> bool:
        return not any(account.missing or account.out_of_order or account.surplus for account in self.accounts)

    def table(self) -> Table:
        """Changes down, clients across: the messages each received for it, and after how many milliseconds."""
        table = Table("change", title=f"One change, every wire ({self.title})")
        for listener in self.listeners:
            table.add_column(listener.name)
        made = list(self.made)  # the table is drawn by a thread
        columns = [self.column(listener, made) for listener in self.listeners]
        for change, *cells in zip(made, *columns, strict=True):
            table.add_row(change.title, *cells)
        return table

    def column(self, listener: Listener, changes: list[Made]) -> list[Text]:
        """The cells of one client."""
        arrivals = iter(self.account(listener, changes).arrivals)
        shares = [[next(arrivals) for _ in made.expected.get(listener.name, [])] for made in changes]
        return [self.cell(listener, made, share) for made, share in zip(changes, shares, strict=True)]

    def cell(self, listener: Listener, made: Made, arrivals: list[int | None]) -> Text:
        if not arrivals:
            return Text("·", "dim")
        kinds = ", ".join(message["type"] for message in made.expected[listener.name])
        times = [listener.received[position][0] - made.began for position in arrivals if position is not None]
        if len(times) < len(arrivals):
            return Text(f"{kinds}  {len(arrivals) - len(times)} missing", "red")
        return Text(f"{kinds}  {max(times) * 1000:.1f} ms")

    def verdict(self) -> Text:
        """The last line: counts over all clients."""
        accounts = self.accounts
        surplus = [message["type"] for account in accounts for message in account.surplus]
        counts = {
            "missing": sum(account.missing for account in accounts),
            "out of order": sum(account.out_of_order for account in accounts),
            "unexpected": len(surplus),
        }
        messages = sum(len(account.arrivals) for account in accounts)
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        text += f" ({', '.join(surplus)})" if surplus else ""
        return Text(f"{len(self.made)} changes, {messages} messages: {text}", "green" if self.passed else "bold red")
