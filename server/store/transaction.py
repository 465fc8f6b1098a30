"""Transactions: the one way in which anything is read or changed.

Invariants:
- a writing function runs whole in a worker thread inside one transaction; what it recorded enters the log as the
  last statement before the commit; the same function runs again after busy, deadlock or serialisation failure, so
  it must have no effect outside `tx`;
- locks come before reads: SQLite takes its writer lock at BEGIN, on PostgreSQL an action locks the workspaces it
  touches, ascending, before it reads them (READ COMMITTED: what is read after the lock is current);
- events are announced exactly when the commit succeeded, in one message of the thread to the event loop with the
  results, so a cancelled caller silences nothing;
- on SQLite, which has one writer, those that wait for it are committed together, in the order in which they were asked:
  one wait for the disk, one announcement. What one of them raises undoes that one alone;
- a reading function sees one snapshot, and `tx.position()` is the log position of that snapshot.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from peewee import Database, PeeweeException, PostgresqlDatabase

from server import faults
from server.dice import jittered
from server.errors import Unavailable
from server.events import rooms as room_names
from server.events.event import ControlEvent, Event, Origin
from server.store import log
from server.store.database import is_conflict, is_unavailable, open_database
from server.store.gathering import PATIENCE, Gathering, Outcome, Outcomes, Query, answer_all
from server.store.models.base import bind_thread
from server.store.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")
WORKSPACES, USERS = 1, 2  # first keys of the advisory locks
SHARE = 0.01  # seconds after which no further action joins those that are committed together
PAUSE = 0.005  # seconds that a short read waits for others while a crowd asks
RETRY_PAUSE = 0.01  # seconds, times the attempt
JITTER = 0.5  # of a pause, so that two that met do not meet again


class Transaction:
    """What an action gets: the database of its thread, and a place to record what happened."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.postgres = isinstance(db, PostgresqlDatabase)
        self.recorded: list[log.Recorded] = []
        self._position: int | None = None

    def record(self, event: Event, *rooms: str, origin: Origin | None = None) -> None:
        """Notes an event for the members of `rooms`; it is told when, and only if, the transaction commits.

        `origin` leaves out the socket that caused it; without it everybody is told."""
        if isinstance(event, ControlEvent):
            rooms = (room_names.CONTROL, *event.concerns())
        assert rooms, f"{event.type} is for nobody"
        if len(rooms) > 1:
            rooms = tuple(dict.fromkeys(rooms))
        strange = [room for room in rooms if not room.startswith(event.audience)]
        assert not strange, (event.type, strange)
        self.recorded.append(log.Recorded(event.type, rooms, event.payload(), origin))

    def lock_workspaces(self, *ids: int) -> None:
        """Keeps other writers of these workspaces out until the end; call it before reading what will be changed."""
        self._lock(WORKSPACES, ids)

    def lock_users(self, *ids: int) -> None:
        """The same for what belongs to an account; users before workspaces."""
        self._lock(USERS, ids)

    def _lock(self, kind: int, ids: Iterable[int]) -> None:
        if self.postgres:
            for number in sorted(set(ids)):
                self.db.execute_sql("SELECT pg_advisory_xact_lock(%s::int, %s::int)", (kind, number))

    def position(self) -> int:
        """The position of the log as this transaction sees it: on SQLite where it began, since it keeps other writers
        out, on PostgreSQL where the log is now."""
        if self._position is None or self.postgres:
            self._position = log.head(self.db)
        return self._position


class Snapshot(Transaction):
    """What a query gets: all of it is as of one moment."""

    def position(self) -> int:
        """The log position of the snapshot."""
        if self._position is None:
            self._position = log.head(self.db)
        return self._position


class Store:
    """The database behind worker threads: `write` and `read` run a function in a transaction.

    `on_commit` is called on the event loop with the events of each commit, in commit order per thread."""

    def __init__(self, url: str, *, writers: int, readers: int, retries: int) -> None:
        self.db = open_database(url)
        self.postgres = isinstance(self.db, PostgresqlDatabase)
        self.retries = retries
        self.on_commit: Callable[[list[log.LoggedEvent]], None] = lambda events: None
        lanes = writers if self.postgres else 1
        writing, reading, following = (
            Threads(f"store-{name}", count, begin=partial(bind_thread, self.db), end=self.db.close)
            for name, count in (("writer", lanes), ("reader", readers), ("relay", 1))
        )
        self._threads = writing, reading, following
        self._writes: Gathering[Transaction] = Gathering(self._write, writing, lanes)
        self._reads: Gathering[Transaction] = Gathering(self._read, reading, readers)
        self._glances: Gathering[Transaction] = Gathering(self._read, reading, readers if self.postgres else 1, PAUSE)
        self._follows: Gathering[Transaction] = Gathering(self._read, following, 1)

    async def write(self, action: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `action(tx, …)` in one writing transaction; raises what it raises, or Unavailable."""
        result: T = await self._writes.ask(partial(run, action, args, kwargs), alone=self.postgres)
        return result

    async def write_long(
        self, action: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, for an action that may take more than some milliseconds: no other one shares its commit."""
        result: T = await self._writes.ask(partial(run, action, args, kwargs), alone=True)
        return result

    def _write(self, asked: float, actions: Sequence[Query[Transaction]]) -> Outcomes:
        """Runs actions in one transaction, the first few at least; raises what a single one raises."""
        return self._run(asked, self._commit, actions)

    async def read(self, query: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `query(tx, …)` in one read-only snapshot."""
        result: T = await self._reads.ask(partial(run, query, args, kwargs), alone=True)
        return result

    async def glance(self, query: Callable[[Transaction], T]) -> T:
        """As `read` for a short query that many ask at once: they share a snapshot, which begins after all were
        asked."""
        result: T = await self._glances.ask(query)
        return result

    async def read_log(self, cursor: int, limit: int) -> tuple[log.Bounds, list[log.LoggedEvent]]:
        """What the log holds, and up to `limit` events above the cursor, by a thread that slow queries of users cannot
        occupy."""
        result: tuple[log.Bounds, list[log.LoggedEvent]] = await self._follows.ask(
            partial(read_after, cursor=cursor, limit=limit)
        )
        return result

    def _read(self, asked: float, queries: Sequence[Query[Transaction]]) -> Outcomes:
        """Runs queries in one snapshot."""
        return self._run(asked, self._snapshot, queries)

    def _run(self, asked: float, once: Callable[..., T], *job: Any) -> T:
        """Runs a transaction until it succeeds, fails for good or the retries are used up. One that waited too long
        for its turn is not begun: whoever asked for it has gone, or will ask again."""
        if time.monotonic() - asked > PATIENCE:
            raise Unavailable("the database is too busy")
        for attempt in range(1, self.retries + 1):
            try:
                if self.db.is_closed():
                    self.db.connect()
                return once(*job)
            except PeeweeException as error:
                lost = is_unavailable(error)
                if lost:
                    self.db.close()  # the next run opens a new connection
                elif not is_conflict(error):
                    raise
                if attempt == self.retries or (lost and attempt > 1):
                    raise Unavailable(str(error)) from error
                time.sleep(jittered(RETRY_PAUSE * attempt, JITTER))
        raise AssertionError("unreachable")

    def _commit(self, actions: Sequence[Query[Transaction]]) -> Outcomes:
        events: list[log.LoggedEvent] = []
        committing = False
        try:
            with self.db.transaction():
                if len(actions) == 1:
                    outcomes = [Outcome(self._act(actions[0], events), None)]
                else:
                    outcomes = self._act_apart(actions, events)
                faults.reach("before_commit")
                committing = True
        except PeeweeException as error:
            if not committing or is_conflict(error):
                raise
            # the connection broke during COMMIT: nobody knows whether it happened, so never run the action again
            self.db.close()
            raise Unavailable(str(error)) from error
        faults.reach("after_commit")
        return Outcomes(outcomes, partial(self.on_commit, events) if events else None)

    def _act(self, action: Query[Transaction], events: list[log.LoggedEvent]) -> Any:
        """Runs an action, and adds to `events` what it recorded."""
        tx = Transaction(self.db)
        result = action(tx)
        if tx.recorded:
            events += log.append(self.db, tx.recorded)
        return result

    def _act_apart(self, actions: Sequence[Query[Transaction]], events: list[log.LoggedEvent]) -> list[Outcome]:
        """Runs the first of several actions, each of which can fail without the others."""
        outcomes: list[Outcome] = []
        began = time.monotonic()
        for action in actions:
            if outcomes and time.monotonic() - began > SHARE:
                break
            self.db.execute_sql("SAVEPOINT action")
            try:
                outcomes.append(Outcome(self._act(action, events), None))
            except PeeweeException:
                raise
            except Exception as error:
                self.db.execute_sql("ROLLBACK TO action")
                outcomes.append(Outcome(None, error))
            self.db.execute_sql("RELEASE action")
        return outcomes

    def _snapshot(self, queries: Sequence[Query[Transaction]]) -> Outcomes:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.postgres else "BEGIN DEFERRED"
        self.db.execute_sql(begin)
        try:
            return Outcomes(answer_all(Snapshot(self.db), queries))
        finally:
            self.db.rollback()

    def close(self) -> None:
        """Waits for running transactions and closes the connections of all threads."""
        for threads in self._threads:
            threads.close()


def run(action: Callable[..., T], args: Any, kwargs: Any, tx: Transaction) -> T:
    return action(tx, *args, **kwargs)


def read_after(tx: Transaction, cursor: int, limit: int) -> tuple[log.Bounds, list[log.LoggedEvent]]:
    return log.bounds(tx.db), log.read_after(tx.db, cursor, limit)
