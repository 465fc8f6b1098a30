"""Clients of somebody who is removed and admitted again: put out of a room, they ask for it until they are let in."""

from typing import Any

from tests.faults.clients.base import Client, Refused
from tests.faults.clients.core_raw import CoreRaw
from tests.faults.clients.sessions import CoreSession, EventsSession
from tests.faults.clients.streams import EventPages, EventStream, Stream

ENDINGS = ("page_discard", "room_discard", "workspace-deselected")


class Member(Client):
    """What they share: an end or a refusal makes the next join a new beginning."""

    returns = True

    async def visit(self) -> None:
        try:
            await super().visit()
        except Refused:
            self.lose()
            raise

    def hear(self, kind: str, payload: Any, position: int | None) -> None:
        super().hear(kind, payload, position)
        if kind in ENDINGS:
            raise Refused(kind)

    def refresh(self, position: int) -> None:
        """What was joined before belongs to what is gone."""
        super().refresh(position)
        self.lose()
        if isinstance(self, Stream):
            self.join(position, *self.history.rooms)

    @property
    def is_out(self) -> bool:
        """The server said that it is no longer told."""
        return not self.joined >= self.history.rooms


class MemberCoreRaw(Member, CoreRaw):
    style = "member's core socket"


class MemberCoreSession(Member, CoreSession):
    style = "member's Socket.IO /core"


class MemberEventsSession(Member, EventsSession):
    style = "member's Socket.IO /events"


class MemberEventStream(Member, EventStream):
    style = "member's event stream"


class MemberEventPages(Member, EventPages):
    style = "member's event pages"


CORE = (MemberCoreRaw, MemberCoreSession)
STREAMS = (MemberEventStream, MemberEventPages)
