"""Who can write to Redis, which the trust model does not allow to strangers, still cannot run code in the server."""

import asyncio
import json
import pickle
from pathlib import Path

from redis.asyncio import Redis

from server.app import channel
from tests.support.app import PATIENCE, running_server
from tests.support.core_2026 import newcomer
from tests.support.socketio_client import session_client


class Intruder:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[type[open], tuple[str, str]]:  # type: ignore[valid-type]
        return open, (str(self.path), "w")


async def test_a_pickle_on_the_channel_of_socketio_is_no_message(tmp_path: Path, redis_url: str) -> None:
    evil = tmp_path / "evil"
    async with (
        running_server(database_url=f"sqlite:///{tmp_path}/redis.sqlite3", redis_url=redis_url) as server,
        Redis.from_url(redis_url) as redis,
        session_client(server.url, "/core", (await newcomer(server, "Ann")).token) as client,
    ):
        name = channel(server.settings, "socketio")
        greeting = {"method": "emit", "event": "hello", "data": {"a": 1}, "namespace": "/core", "room": client.sid}
        async with asyncio.timeout(PATIENCE):
            while not (await redis.pubsub_numsub(name))[0][1]:
                await asyncio.sleep(0)
        for message in (pickle.dumps(Intruder(evil)), b"\xff", b"[]", json.dumps(greeting)):
            await redis.publish(name, message)
        await client.until(1)
    assert not evil.exists()
