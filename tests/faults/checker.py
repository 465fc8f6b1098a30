"""Compares what a client was told with what the log says it had to be told.

Rules, for a client with a cursor, across all its connections:
- *due* is every event above the position at which its room was joined, while the client was entitled, except its own
  changes and what lies before a refresh that the server announced;
- *missing*: due and never told; *doubled*: told again; *disordered*: told after a later one; *foreign*: told though
  it is not in the log, differs from it, is not for this client, or lies outside its entitlement.
For a client without a cursor the same holds within each connection, from the first event told after all rooms were
joined to the last one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.history import Connected, Entry, History, Interest, Joined, Refreshed, Told
from tests.faults.truth import FOREVER, Committed, Log, Span

EXAMPLES = 10


@dataclass
class Findings:
    """What was compared and what was wrong, with the first examples in words."""

    committed: int = 0
    told: int = 0
    missing: int = 0
    doubled: int = 0
    disordered: int = 0
    foreign: int = 0
    refreshed: int = 0
    unwritten: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        return self.missing + self.doubled + self.disordered + self.foreign + self.unwritten

    def note(self, kind: str, words: str) -> None:
        """Counts one finding."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{kind}: {words}")

    def add(self, other: "Findings") -> None:
        """Takes over the findings of another check; `committed` is counted once a log, not once a client."""
        for kind in ("told", "missing", "doubled", "disordered", "foreign", "refreshed", "unwritten"):
            setattr(self, kind, getattr(self, kind) + getattr(other, kind))
        self.committed = max(self.committed, other.committed)
        self.examples = [*self.examples, *other.examples][:EXAMPLES]


def check_client(log: Log, history: History) -> Findings:
    """Checks one client's history."""
    findings = Findings(committed=len(log.events))
    audience = Audience(log, history)
    if history.continues:
        told = check_told(audience, history.entries, findings)
        report_missing(audience, due_across(audience), told, findings)
    else:
        for connection in connections(history.entries):
            told = check_told(audience, connection, findings)
            report_missing(audience, due_within(audience, connection), told, findings)
    return findings


class Audience:
    """What one client is entitled to: by room, the spans of the log and the events in them."""

    def __init__(self, log: Log, history: History) -> None:
        self.log = log
        self.history = history
        self.joins = [entry for entry in history.entries if isinstance(entry, Joined) and entry.above is not None]
        self.spans = {interest.room: self.entitled(interest) for interest in history.interests}

    def memberships(self, interest: Interest) -> list[Span]:
        if interest.workspace is None:
            return [Span(0, FOREVER)]
        return self.log.memberships(self.history.user, interest.workspace)

    def entitled(self, interest: Interest) -> list[Span]:
        """Where the room may be heard: while a member, and on a page not before it was asked for."""
        members = self.memberships(interest)
        joins = [join for join in self.joins if join.room == interest.room]
        if interest.follows or not joins:
            return members
        return [Span(max(span.after, join.asked), span.until) for join in joins for span in around(members, join)]

    def promised(self, interest: Interest, join: Joined) -> list[Span]:
        """What a join promises: a page until the membership ends, a room that follows memberships in the next too."""
        members = self.memberships(interest)
        spans = members if interest.follows else around(members, join)
        return [Span(max(span.after, join.above or 0), span.until) for span in spans]

    def own(self, event: Committed) -> bool:
        """The client's own change, which it is not told."""
        return (
            event.origin is not None
            and event.origin[0] == self.history.user
            and event.origin[1] in self.history.sockets
        )

    def admits(self, event: Committed) -> bool:
        """Whether the client may ever be told this event."""
        shared = event.rooms & self.history.rooms
        entitled = any(event.id in span for room in shared for span in self.spans[room])
        return entitled and event.id > self.history.start and not self.own(event)

    def needs_membership(self, position: int) -> bool:
        """Whether an event is told to members only: who was told it was one when it was read."""
        event = self.log.by_id.get(position)
        open_to_all = {interest.room for interest in self.history.interests if interest.workspace is None}
        return event is not None and not event.rooms & open_to_all

    def within(self, span: Span, rooms: Iterable[str]) -> Iterator[int]:
        """Ids of what the client is entitled to hear of some rooms in a span."""
        for room in rooms:
            for event in self.log.by_room[room]:
                if event.id in span and any(event.id in each for each in self.spans[room]) and not self.own(event):
                    yield event.id


def around(members: Sequence[Span], join: Joined) -> Sequence[Span]:
    """The membership in which a join happened."""
    return [span for span in members if (join.above or 0) < span.until][:1]


def check_told(audience: Audience, entries: Sequence[Entry], findings: Findings) -> set[int]:
    """Checks each event that was told, and its place; returns the positions."""
    told: set[int] = set()
    highest = 0
    for entry in entries:
        findings.refreshed += isinstance(entry, Refreshed)
        if not isinstance(entry, Told):
            continue
        findings.told += 1
        numbered = entry.position is not None or not audience.history.continues
        position = entry.position if entry.position is not None else find(audience.log, entry.key, highest)
        event = audience.log.by_id.get(position or 0)
        client = audience.history.client
        if (
            not numbered
            or event is None
            or event.key != entry.key
            or event.type != entry.type
            or not audience.admits(event)
        ):
            findings.note("foreign", f"{client} was told {entry}; the log has {event and brief(event)}")
        elif event.id in told:
            findings.note("doubled", f"{client} was told again {brief(event)}")
        elif event.id < highest:
            findings.note("disordered", f"{client} was told after {highest} {brief(event)}")
        if event is not None:
            told.add(event.id)
            highest = max(highest, event.id)
    return told


def find(log: Log, key: str, above: int) -> int | None:
    """The position of an event that was told without one: the next with this content, else any."""
    positions = log.by_key.get(key, [])
    return next((each for each in positions if each > above), positions[-1] if positions else None)


def due_across(audience: Audience) -> set[int]:
    """What a client with a cursor had to be told."""
    due: set[int] = set()
    interests = {interest.room: interest for interest in audience.history.interests}
    for join in audience.joins:
        for span in audience.promised(interests[join.room], join):
            due |= set(audience.within(span, [join.room]))
    return due - excused(audience)


def excused(audience: Audience) -> set[int]:
    """Positions that need not have been told: what lies before a refresh, and what a removed member, who was not
    connected at the time, missed before the removal: it is no longer entitled to hear it."""
    free: set[int] = set()
    ends = sorted(
        {span.until for spans in audience.spans.values() for span in spans if span.until <= audience.log.head}
    )
    cursor = left = audience.history.start
    away = False
    for entry in audience.history.entries:
        if isinstance(entry, Refreshed):
            free |= set(audience.within(Span(cursor, entry.position), audience.history.rooms))
        elif isinstance(entry, Connected):
            left = left if away else cursor
            away = True
        elif isinstance(entry, Told) and entry.position is not None:
            free |= missed_before_removal(audience, ends, left, entry.position) if away else set()
            cursor = max(cursor, entry.position)
            away = away and not audience.needs_membership(entry.position)
    return free | (missed_before_removal(audience, ends, left, audience.log.head) if away else set())


def missed_before_removal(audience: Audience, ends: Sequence[int], cursor: int, reached: int) -> set[int]:
    """What ended memberships held between two told positions, of the rooms that ended."""
    missed: set[int] = set()
    for end in ends:
        if cursor < end <= reached:
            ended = [room for room, spans in audience.spans.items() if any(span.until == end for span in spans)]
            missed |= set(audience.within(Span(cursor, end), ended))
    return missed


def connections(entries: Sequence[Entry]) -> list[list[Entry]]:
    """A history, connection by connection."""
    parts: list[list[Entry]] = [[]]
    for entry in entries:
        if isinstance(entry, Connected):
            parts.append([])
        parts[-1].append(entry)
    return parts


def due_within(audience: Audience, connection: Sequence[Entry]) -> set[int]:
    """What a client without a cursor had to be told on one connection: no gap between the first and the last."""
    joins = [index for index, entry in enumerate(connection) if isinstance(entry, Joined)]
    if {entry.room for entry in connection if isinstance(entry, Joined)} != audience.history.rooms:
        return set()  # it went before the server had confirmed everything
    positions: list[int] = []
    for entry in connection[joins[-1] :]:
        if isinstance(entry, Told):
            found = find(audience.log, entry.key, positions[-1] if positions else 0)
            positions += [found] if found is not None else []
    if not positions:
        return set()
    return set(audience.within(Span(positions[0] - 1, max(positions)), audience.history.rooms))


def report_missing(audience: Audience, due: set[int], told: set[int], findings: Findings) -> None:
    for position in sorted(due - told):
        event = audience.log.by_id[position]
        findings.note("missing", f"{audience.history.client} was never told {brief(event)}")


def brief(event: Committed) -> str:
    return f"{event.id} {event.type} {' '.join(sorted(event.rooms))}"
