"""Pings of Engine.IO connections.

Invariants: a connection is waited for in one place, to be pinged or to answer, and in none after it ended; only the
answer to a ping that is waited for counts, however many a client sends.
"""

from typing import Protocol

from server.delivery.deadlines import Deadlines


class Pinged(Protocol):
    """A connection that answers pings."""

    def ping(self) -> None:
        """Sends a ping."""

    def lost(self) -> None:
        """Called when no answer came in time."""


class Pings:
    """Pings each connection `interval` seconds after it answered, and gives it `timeout` seconds to answer."""

    def __init__(self, interval: float, timeout: float) -> None:
        self.timeout = timeout
        self._due: Deadlines[Pinged] = Deadlines(interval, self._ask)
        self._asked: Deadlines[Pinged] = Deadlines(timeout, lambda connection, _: connection.lost())

    def __len__(self) -> int:
        """How many connections are waited for."""
        return len(self._due) + len(self._asked)

    def begin(self, connection: Pinged) -> None:
        """Pings a connection from now on."""
        self._due.start(connection)

    def answered(self, connection: Pinged) -> None:
        """Takes an answer; one that nobody asked for changes nothing."""
        if self._asked.cancel(connection):
            self._due.start(connection)

    def forget(self, connection: Pinged) -> None:
        """Ends the pings of a connection."""
        self._due.cancel(connection)
        self._asked.cancel(connection)

    def overdue(self, connection: Pinged) -> bool:
        """True where an answer is late, even if `lost` was not called yet."""
        return self._asked.overdue(connection)

    def _ask(self, connection: Pinged, due: float) -> None:
        """Counts from the moment when the ping was due, as clients do; one that went out very late, since the event
        loop stood still, leaves the client half of the time at least."""
        now = self._due.looked
        self._asked.start(connection, max(due, now - self.timeout / 2))
        connection.ping()

    def stop(self) -> None:
        """Ends all pings."""
        self._due.stop()
        self._asked.stop()
