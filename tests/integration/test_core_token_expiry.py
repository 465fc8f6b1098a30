"""A 2026 socket ends with its token, unless it brings a newer one; a classic socket outlives it."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from server.auth.tokens import Tokens
from server.parts import REGISTRY
from tests.support.app import PASSWORD, PATIENCE, SECRET, Person, RawSocket, running_server
from tests.support.core_2026 import Grid, arrive, ask_replay, ids, kinds, make_grid

EXPIRED = (4401, "token expired")
LONG, SHORT, OVER = 3600, 3, 0  # seconds; a token that has just expired is still let in, see LEEWAY


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    """On SQLite alone: which database it is makes no difference to a clock."""
    async with running_server(database_url=f"sqlite:///{tmp_path}/test.sqlite3") as server:
        yield await make_grid(server)


def token(who: Person, seconds: int) -> str:
    return Tokens(SECRET, seconds, LONG).access(who.id)


def holding(who: Person, seconds: int) -> Person:
    """The same person with a token that lives so long."""
    return replace(who, token=token(who, seconds))


async def renew(socket: RawSocket, *given: Any) -> bool:
    """Sends `refresh`; returns the verdict."""
    await socket.send({"type": "refresh"} | ({"jwt_token": given[0]} if given else {}))
    (verdict,) = await socket.expect("authentication")
    expected = {"type": "authentication", "web_socket_id": socket.id, "replay_enabled": True}
    assert verdict == expected | {"success": verdict["success"]}
    return bool(verdict["success"])


async def closed(socket: RawSocket) -> tuple[int | None, str]:
    await socket.until(lambda: socket.closed)
    assert socket.closed is not None
    return socket.closed


async def alive(grid: Grid, *sockets: RawSocket) -> None:
    """They hear what happens now."""
    await grid.rename(f"live at {time.monotonic()}")
    for socket in sockets:
        assert kinds(await grid.heard(socket)) == ["group_updated"]


async def test_a_socket_of_2026_ends_with_its_token_and_a_classic_one_does_not(grid: Grid) -> None:
    bob = holding(grid.bob, SHORT)
    classic, held, live = await bob.core_socket(), await arrive(bob), await arrive(bob)
    await ask_replay(live, -1)
    became = await bob.core_socket()
    await became.send({"type": "presence.focus"})
    for socket in (held, live, became):
        assert await closed(socket) == EXPIRED
    await alive(grid, classic)
    await classic.subscribe("table", table_id=grid.table)


async def test_a_newer_token_prolongs_the_socket(grid: Grid) -> None:
    bob = holding(grid.bob, SHORT)
    prolonged, again, measure = await arrive(bob), await arrive(bob), await arrive(bob)
    assert await renew(prolonged, token(bob, LONG)) and await renew(again, token(bob, SHORT))
    await grid.rename("held")
    assert await closed(measure) == EXPIRED
    await ask_replay(prolonged, -1)
    await prolonged.expect("replay_events_result", "group_updated")
    await alive(grid, prolonged)
    assert await closed(again) == EXPIRED


async def test_an_older_token_shortens_nothing(grid: Grid) -> None:
    socket, measure = await arrive(grid.bob), await arrive(holding(grid.bob, SHORT))
    assert await renew(socket, token(grid.bob, SHORT))
    assert await renew(socket, grid.bob.token)
    assert await closed(measure) == EXPIRED
    await ask_replay(socket, -1)
    await socket.expect("replay_events_result")
    await alive(grid, socket)


async def test_what_is_no_token_of_the_user_is_refused_and_the_socket_stays_until_its_own_ends(grid: Grid) -> None:
    bob = holding(grid.bob, SHORT)
    socket = await arrive(bob)
    claims = {"token_type": "access", "iat": 0, "jti": "x", "user_id": bob.id, "exp": time.time() + LONG}
    forged = jwt.encode(claims, "another key that is long enough for the algorithm", algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    foreign = [grid.ann.token, bob.refresh_token, forged, unsigned, "", "garbage", "anonymous"]
    for given in [*foreign, None, 5, True, [bob.token], {"token": bob.token}, "x" * 10_000]:
        assert not await renew(socket, given), given
    assert not await renew(socket)
    await ask_replay(socket, -1)
    await socket.expect("replay_events_result")
    await alive(grid, socket)
    assert await closed(socket) == EXPIRED


async def test_a_token_from_before_a_change_of_the_password_is_refused(grid: Grid) -> None:
    socket = await arrive(grid.bob)
    before = token(grid.bob, 2 * LONG)
    body = {"old_password": PASSWORD, "new_password": "a-new-password-1234"}
    await grid.bob.ok("POST", "/api/user/change-password/", body, socket=socket)
    assert not await renew(socket, before)
    login = {"email": grid.bob.email, "password": "a-new-password-1234"}
    answer = await grid.server.request("POST", "/api/user/token-auth/", login)
    assert await renew(socket, answer.body["access_token"])


async def test_a_classic_socket_whose_token_is_over_may_bring_another_one(grid: Grid) -> None:
    renewed, refused, spoke = [await holding(grid.bob, OVER).core_socket() for _ in range(3)]
    assert await renew(renewed, grid.bob.token) and not await renew(refused, "garbage")
    await ask_replay(spoke, -1)
    assert [await closed(refused), await closed(spoke)] == [EXPIRED] * 2
    position = await grid.rename("live")
    assert ids(await grid.heard(renewed)) == [position]


async def test_a_visitor_has_nothing_to_renew(grid: Grid) -> None:
    socket = await arrive(grid.bob, jwt_token="anonymous")
    assert not await renew(socket, grid.bob.token)
    assert await grid.heard(socket) == []


async def test_a_socket_that_went_is_not_kept_in_memory_until_its_token_expires(grid: Grid) -> None:
    socket = await arrive(grid.bob)
    await socket.send({"page": "table", "table_id": grid.table})
    assert kinds(await grid.heard(socket)) == ["page_add", "presence.members"]
    (kept,) = [weakref.ref(subscriber) for subscriber in grid.server.app[REGISTRY].subscribers]
    await socket.close()
    async with asyncio.timeout(PATIENCE):
        while gc.collect() >= 0 and kept() is not None:
            await asyncio.sleep(0.05)
