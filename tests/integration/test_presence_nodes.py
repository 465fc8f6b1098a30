"""Presence across nodes, through a real Redis that may fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from server.delivery.presence import Presence
from server.delivery.redis_channels import RedisChannels
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_RAW_2026
from tests.support.redis_server import RedisServer
from tests.unit.doubles import payloads, subscriber

BEAT, EXPIRY = 0.1, 0.8  # seconds
PATIENCE = 20.0
ROOM, OTHER = "core:table:5", "core:table:6"


class Node:
    """The presence of one process."""

    def __init__(self, url: str, expiry: float = EXPIRY, channel: str = "presence") -> None:
        self.channels = RedisChannels(url)
        self.presence = Presence(self.channels, channel, beat=BEAT, expiry=expiry)

    async def start(self) -> "Node":
        await self.presence.start()
        await until(lambda: self.channels.connected)
        return self

    def visit(self, user_id: int, room: str = ROOM) -> Subscriber:
        """Somebody opens the page of a table here."""
        who = subscriber(f"socket of {user_id}", user_id, wire=CORE_RAW_2026)
        who.rooms[room] = 0
        self.presence.enter(who, room)
        return who

    async def crash(self) -> None:
        """Ends without goodbye, as a killed process does."""
        assert self.presence._task is not None
        self.presence._task.cancel()
        await self.channels.abort()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def told(who: Subscriber) -> list[tuple[str, object]]:
    """What a socket was told: (type, the users it is about, or the focus)."""
    messages = [json.loads(payload) for payload in payloads(who)]
    return [(m["type"].removeprefix("presence."), m.get("focus", m.get("user_id", users(m)))) for m in messages]


def users(message: dict[str, list[dict[str, int]]]) -> list[int]:
    return sorted(entry["user_id"] for entry in message.get("entries", ()))


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[tuple[Node, Node]]:
    async with AsyncExitStack() as stack:
        found = [await Node(redis_url).start() for _ in range(2)]
        for node in found:
            stack.push_async_callback(node.presence.stop)
        yield found[0], found[1]


async def test_who_comes_goes_and_looks_is_told_on_every_node(nodes: tuple[Node, Node], redis_url: str) -> None:
    one, two = nodes
    stranger = await Node(redis_url, channel="another deployment").start()
    ann, elsewhere, foreigner = one.visit(1), one.visit(4, OTHER), stranger.visit(9)
    await until(lambda: two.presence.peers.entries(ROOM) != [])
    bob = two.visit(2)
    assert told(bob) == [("members", [1])]
    await until(lambda: told(ann) == [("members", []), ("join", 2)])
    two.presence.focus(bob, {"page": "table", "table_id": 5, "focus": {"row_id": 7}})
    await until(lambda: told(ann)[2:] == [("focus", {"row_id": 7})])
    late = await Node(redis_url).start()
    await until(lambda: len(late.presence.peers.entries(ROOM)) == 2)
    assert told(late.visit(3)) == [("members", [1, 2])]
    one.presence.left(ann, ROOM)
    await until(lambda: told(bob) == [("members", [1]), ("join", 3), ("leave", 1)])
    await late.presence.stop()
    await until(lambda: told(bob)[3:] == [("leave", 3)])
    assert told(elsewhere) == told(foreigner) == [("members", [])]
    await stranger.presence.stop()


async def test_a_clean_stop_says_goodbye(redis_url: str) -> None:
    one, two = await Node(redis_url, expiry=3600).start(), await Node(redis_url, expiry=3600).start()
    ann, bob = one.visit(1), two.visit(2)
    await until(lambda: told(ann) == [("members", []), ("join", 2)] and ("join", 1) in told(bob))
    await one.presence.stop()
    await until(lambda: told(bob)[-1] == ("leave", 1))
    await two.presence.stop()


async def test_members_of_a_killed_node_leave_when_it_expires(nodes: tuple[Node, Node], redis_url: str) -> None:
    victim, (_, two) = await Node(redis_url).start(), nodes
    bob = two.visit(2)
    victim.visit(1), victim.visit(3)
    await until(lambda: told(bob) == [("members", []), ("join", 1), ("join", 3)])
    await victim.crash()
    await until(lambda: told(bob)[3:] == [("leave", 1), ("leave", 3)])
    reborn = await Node(redis_url).start()
    reborn.visit(1)
    await until(lambda: told(bob)[5:] == [("join", 1)])
    await reborn.presence.stop()


async def test_a_redis_that_was_killed_and_comes_back_empty(
    nodes: tuple[Node, Node], redis_server: RedisServer
) -> None:
    one, two = nodes
    ann, bob = one.visit(1), two.visit(2)
    await until(lambda: ("join", 2) in told(ann) and ("join", 1) in told(bob))
    await asyncio.to_thread(redis_server.kill)
    one.presence.left(ann, ROOM)
    carl = one.visit(3)
    await until(lambda: told(bob)[-1] == ("leave", 1))  # expired: nothing was heard of node one
    assert told(carl)[0][0] == "members", "at home it goes on without Redis"
    await asyncio.to_thread(redis_server.start)
    await until(lambda: told(bob)[-1] == ("join", 3) and told(carl)[-1] in [("join", 2), ("members", [2])])
    assert ("join", 1) not in told(bob)[2:], "who left meanwhile is not announced again"


async def test_a_redis_that_froze(nodes: tuple[Node, Node], redis_server: RedisServer) -> None:
    one, two = nodes
    ann, bob = one.visit(1), two.visit(2)
    await until(lambda: ("join", 2) in told(ann) and ("join", 1) in told(bob))
    await asyncio.to_thread(redis_server.pause)
    await until(lambda: told(ann)[-1] == ("leave", 2) and told(bob)[-1] == ("leave", 1))
    dora = two.visit(4)
    await asyncio.to_thread(redis_server.resume)
    await until(lambda: told(ann)[-2:] in ([("join", 2), ("join", 4)], [("join", 4), ("join", 2)]))
    await until(lambda: told(bob)[-1] == ("join", 1) and told(dora)[-1] == ("join", 1))


async def test_more_joins_than_the_way_carries_are_made_good(redis_url: str) -> None:
    one, two = Node(redis_url), await Node(redis_url).start()
    one.channels = one.presence.channels = RedisChannels(redis_url, capacity=5)
    one.channels.listen("presence", one.presence.peers.hear, one.presence.peers.subscribed)
    await one.start()
    watcher = two.visit(1000)
    for number in range(100):
        one.visit(number)
    await until(lambda: len(told(watcher)) == 101)
    assert sorted(user for kind, user in told(watcher)[1:] if kind == "join") == [*range(100)]
    await one.presence.stop()
    await two.presence.stop()
