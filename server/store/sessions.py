"""Sessions of Socket.IO connections that recover: begun, kept, taken up again, ended.

Invariants: `pid` is no credential: a session is only found together with its user and namespace. Taking one up counts
its `generation`, and whoever holds an earlier one can no longer change it.
"""

import time
from typing import NamedTuple

import orjson

from server.dice import DICE
from server.events import rooms
from server.events.control import SessionMoved, SessionsEnded
from server.store import log
from server.store.models import SocketSession
from server.store.sql import marks, run
from server.store.transaction import Transaction

MOST_PER_USER = 200  # sessions, and some; the longest unseen give way
ONE_IN = 16  # new sessions looks how many its user has
MOST_CONTROLS = 1000  # changes of one user's entitlements looked at; a client that missed more begins anew


class Begun(NamedTuple):
    """A new session: the columns of `SocketSession` but `seen_ms`; `state` is JSON."""

    pid: str
    sid: str
    namespace: str
    user_id: int
    generation: int
    began: int
    state: str


BEGIN = f"INSERT INTO session ({', '.join(Begun._fields)}, seen_ms) VALUES ({marks(len(Begun._fields) + 1)})"


def begin(tx: Transaction, session: Begun) -> None:
    """Keeps a new session."""
    run(tx, BEGIN, [*session, now_ms()])
    if DICE.random() * ONE_IN < 1:
        trim(tx, session.user_id)


def trim(tx: Transaction, user_id: int) -> None:
    """Forgets those of a user's sessions that are too many."""
    oldest_kept = "SELECT seen_ms FROM session WHERE user_id = ? ORDER BY seen_ms DESC LIMIT 1 OFFSET ?"
    values = [user_id, user_id, MOST_PER_USER - 1]
    run(tx, f"DELETE FROM session WHERE user_id = ? AND seen_ms < ({oldest_kept})", values)


def keep(tx: Transaction, pid: str, generation: int, state: str) -> bool:
    """Replaces what a session hears, JSON; False when it goes on elsewhere or has ended."""
    sql = "UPDATE session SET state = ?, seen_ms = ? WHERE pid = ? AND generation = ?"
    return bool(run(tx, sql, [state, now_ms(), pid, generation]).rowcount)


def end(tx: Transaction, pid: str, generation: int) -> None:
    """Forgets a session whose client has left for good."""
    run(tx, "DELETE FROM session WHERE pid = ? AND generation = ?", [pid, generation])


def take(tx: Transaction, pid: str, namespace: str, user_id: int) -> SocketSession | None:
    """Takes a session up in a new connection, which fences all earlier ones; None when there is none."""
    sql = "UPDATE session SET generation = generation + 1, seen_ms = ? WHERE pid = ? AND namespace = ? AND user_id = ?"
    if not run(tx, sql, [now_ms(), pid, namespace, user_id]).rowcount:
        return None
    session = SocketSession.find(pid=pid)
    assert session is not None
    tx.record(SessionMoved(user_id, session.sid, session.generation))
    return session


def was_ended(tx: Transaction, session: SocketSession, position: int) -> bool:
    """Whether all sessions of the user were ended after the position, at which this one was last kept."""
    changes = log.read_rooms(tx.db, {rooms.control_user(session.user_id): position}, MOST_CONTROLS)
    ends = [orjson.loads(event.payload) for event in changes if event.type == SessionsEnded.type]
    return len(changes) == MOST_CONTROLS or any(end["except_socket"] != session.sid for end in ends)


def memberships(tx: Transaction, user_id: int) -> dict[int, int]:
    """The workspaces that a user may read now: id -> where the membership began."""
    sql = """SELECT m.workspace_id, m.began FROM membership m JOIN workspace w ON w.id = m.workspace_id
        WHERE m.user_id = ? AND NOT w.trashed"""
    return dict(run(tx, sql, [user_id]).fetchall())


def now_ms() -> int:
    return time.time_ns() // 1_000_000
