"""How the edges run actions and queries: identify the actor and act, in one transaction.

An action is `verb_thing(tx, actor, …)`, a query `find_thing(tx, actor, …)`; neither knows HTTP or sockets."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from server.auth.actors import Actor, Credentials, identify
from server.store.transaction import Store, Transaction

P = ParamSpec("P")
T = TypeVar("T")
Action: TypeAlias = Callable[Concatenate[Transaction, Actor, P], T]
"""What can be done or asked: a function of a transaction, an actor and the rest of its arguments."""
Query: TypeAlias = Callable[Concatenate[Transaction, P], T]
"""What can be asked without an account."""


class Runner:
    """Runs actions for credentials on a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def act(self, who: Credentials, action: Action[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Runs an action in one writing transaction; its events are told when it has committed."""
        return await self.store.write(acting(who, action, *args, **kw))

    async def act_long(self, who: Credentials, action: Action[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """As `act`, for an action that may take more than some milliseconds: it delays only who comes after it."""
        return await self.store.write_long(acting(who, action, *args, **kw))

    async def look(self, who: Credentials, query: Action[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Runs a query in one snapshot."""
        return await self.store.read(acting(who, query, *args, **kw))

    async def look_at(self, who: Credentials, query: Action[P, T], *args: P.args, **kw: P.kwargs) -> tuple[T, int]:
        """As `look`, with the log position of the snapshot."""
        return await self.store.read(with_position(acting(who, query, *args, **kw)))

    async def check(self, who: Credentials, query: Action[P, T], *args: P.args, **kw: P.kwargs) -> tuple[T, int]:
        """As `look_at` for an entitlement: a short query, which thousands may ask who come back at once."""
        return await self.store.glance(with_position(acting(who, query, *args, **kw)))

    async def check_visitor(self, query: Query[P, T], *args: P.args, **kw: P.kwargs) -> tuple[T, int]:
        """The same where no account is needed."""
        return await self.store.glance(with_position(query, *args, **kw))

    async def ask_at(self, query: Query[P, T], *args: P.args, **kw: P.kwargs) -> tuple[T, int]:
        """Runs a query that needs no account in one snapshot, with the log position of it."""
        return await self.store.read(with_position(query, *args, **kw))


def acting(who: Credentials, action: Action[P, T], *args: P.args, **kw: P.kwargs) -> Callable[[Transaction], T]:
    """The action for whoever the credentials stand for, who is looked up in the transaction of the action."""

    def run(tx: Transaction) -> T:
        return action(tx, identify(tx, who), *args, **kw)

    return run


def with_position(query: Query[P, T], *args: P.args, **kw: P.kwargs) -> Callable[[Transaction], tuple[T, int]]:
    """The query with the log position of its snapshot."""

    def run(tx: Transaction) -> tuple[T, int]:
        return query(tx, *args, **kw), tx.position()

    return run
