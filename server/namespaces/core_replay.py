"""`replay_events` on the raw core socket: what a 2026 client missed while it was away (contract database.md, f).

Invariants: a socket that brought its own id hears no event before its first `replay_events`, so none overtakes the
replay; then come the missed ones in the order of their ids, the result, and what was held; no id comes twice. All that
is held lies in the log, none of it in memory.
"""

import asyncio
from typing import Any

from server.actions import pages
from server.actions.runner import Runner
from server.auth.actors import Credentials
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, Part, Told, catch_up, meet, position_of
from server.delivery.subscribers import Subscriber
from server.errors import Refused

HOLD = 10.0  # seconds in which a client asks for its replay, before it is told to refresh
BASELINE = -1


class CoreReplay:
    """The replay of one socket; `holds` is true where it brought its own id."""

    __slots__ = (
        "_announced",
        "_deadline",
        "_told",
        "entered",
        "limit",
        "relay",
        "runner",
        "subscriber",
        "who",
    )

    def __init__(
        self, relay: Relay, runner: Runner, subscriber: Subscriber, who: Credentials, limit: int, *, holds: bool
    ) -> None:
        self.relay = relay
        self.runner = runner
        self.subscriber = subscriber
        self.who = who
        self.limit = limit
        self.entered = relay.cursor
        self._told: dict[str, int] = {}  # as `rooms` of the subscriber when its replay began
        self._announced = False
        self._deadline: asyncio.TimerHandle | None = None
        if holds:
            subscriber.behind = self.entered
            self._deadline = asyncio.get_running_loop().call_later(HOLD, self.refresh)

    def heard_from_entry(self, page: Any) -> None:
        """A page that is subscribed while events are held is heard from where the socket entered: the baseline is a
        promise for all rooms, and what the client read of the page may be older than its subscription."""
        if self.subscriber.behind is not None:
            self.subscriber.rooms[page.room] = max(self.entered, page.began)

    def stop(self) -> None:
        """Ends waiting for a client that has gone or has asked."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def run(self, wanted: Any) -> None:
        """Answers `replay_events` with a `last_seen_id`; raises Unavailable."""
        cursor, subscriber = last_seen(wanted), self.subscriber
        self.stop()
        self._announced = False
        if cursor == BASELINE:
            await self.baseline()
        elif cursor == 0 or any(cursor < page.began for page in subscriber.subscriptions.values()):
            self.refresh()
        else:
            subscriber.behind = self.entered = subscriber.position
            self._told = dict(subscriber.rooms)
            subscriber.rooms |= {room: min(start, cursor) for room, start in self._told.items()}
            await self.replay(cursor)

    async def baseline(self) -> None:
        """Tells where live delivery begins for the socket, and what was held since it entered."""
        if self.relay.recent(self.subscriber.position) is None:
            await self.replay(self.entered)
            return
        self.announce(self.subscriber.position)
        meet(self.relay, self.subscriber)

    async def replay(self, cursor: int) -> None:
        """Tells what the socket hears above the cursor and makes it live."""
        try:
            gone = (await catch_up(self.relay, self.subscriber, cursor, self.reader(cursor), self.take))[1]
        except Refused:  # the account ended meanwhile; the log closes the socket
            gone = True
        if gone:
            self.refresh()
            return
        if not self._announced:
            self.announce(self.relay.cursor)
        self.subscriber.behind = None

    def reader(self, first: int) -> Any:
        """How the log is read: the permission of each room is looked at in the same snapshot."""

        async def read(cursor: int) -> tuple[tuple[None, Part], int]:
            names = [page.room for page in self.subscriber.subscriptions.values()]
            most = self.limit if cursor == first else None
            return await self.runner.look_at(
                self.who, pages.core_history, page_rooms=names, cursor=cursor, chunk=CHUNK, most=most
            )

        return read

    def take(self, _: None, event: Told) -> None:
        """Tells one event, the result before the first that was held."""
        if not self.subscriber.hears(event) or self.was_told(event):
            return
        if event.id > self.entered and not self._announced:
            self.announce(event.id - 1)
        self.subscriber.write(event)

    def was_told(self, event: Told) -> bool:
        """True where the event was sent to the socket before the replay."""
        told = self._told
        return event.id <= self.entered and any(told[room] < event.id for room in event.rooms if room in told)

    def announce(self, latest: int, *, force_refresh: bool = False) -> None:
        """Sends the result."""
        self._announced = True
        self.subscriber.tell("replay_events_result", {"force_refresh": force_refresh, "latest_event_id": latest})

    def refresh(self) -> None:
        """Tells the client to read anew; what happens from now on it hears."""
        self.stop()
        now, subscriber = self.relay.cursor, self.subscriber
        self.announce(now, force_refresh=True)
        if subscriber.behind is not None:  # what was held is not told, unless the client asks for it all the same
            subscriber.rooms |= dict.fromkeys(subscriber.rooms, now)
            subscriber.behind = None

    async def go_live(self) -> None:
        """Ends holding for a client that keeps a position for each page instead; tells what was held."""
        self.stop()
        if self.subscriber.behind is not None and not meet(self.relay, self.subscriber):
            self.refresh()


def last_seen(value: Any) -> int:
    """The `last_seen_id` of a frame, a number or decimal text: a position, 0 for a reconnect without a known one, else
    BASELINE."""
    if isinstance(value, str):
        given = value.isascii() and value.isdecimal()
    else:
        given = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return position_of(value) if given else BASELINE
