"""python records_async.py shop/orders KEY [JSON]: follows the records of an endpoint of the server ROOMCAST, with
asyncio, and stores a record with these data.

pip install aiohttp
"""

import asyncio
import json
import os
import sys

import aiohttp

SERVER = os.environ.get("ROOMCAST", "http://127.0.0.1:8000")
REFUSED = 4000  # the reason says what is wrong: name, key, origin or token
RETRY = 1  # seconds


async def follow(http: aiohttp.ClientSession, url: str, key: str, *data: str) -> None:
    """Prints the records, then every change, across connections; stores new ones."""
    since: str | None = None  # the position up to which everything is known
    new = [*data]
    while True:
        try:
            since = since or await read(http, url, key)
            while new:
                await store(http, url, key, new.pop())
            since = await listen(http, url, key, since)
        except (OSError, aiohttp.ClientError) as error:
            if isinstance(error, aiohttp.ClientResponseError) and error.status < 500:
                raise  # refused
            print(f"trying again: {error or type(error).__name__}", flush=True)
        await asyncio.sleep(RETRY)


async def read(http: aiohttp.ClientSession, url: str, key: str) -> str:
    """All records at the position `Stream-Offset`, which is returned; what happened above that is told as messages."""
    async with http.get(url, params={"key": key}) as response:
        response.raise_for_status()
        for record in await response.json():
            print("record", json.dumps(record["data"]), flush=True)
    print("following", flush=True)
    return response.headers["Stream-Offset"]


async def store(http: aiohttp.ClientSession, url: str, key: str, data: str) -> None:
    """Makes a record; of this change too we are told as a message."""
    headers = {"Content-Type": "application/json"}
    async with http.post(url, params={"key": key}, data=data, headers=headers) as response:
        response.raise_for_status()


async def listen(http: aiohttp.ClientSession, url: str, key: str, since: str) -> str | None:
    """Prints what happened above a position until the connection ends; returns how far that was, None where the past is
    gone."""
    query = {"key": key, "since": since, "offsets": "true"}
    async with http.ws_connect(url, params=query, heartbeat=30) as socket:
        while (frame := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            message = frame.json()
            if message["type"] == "refresh":
                return None
            records = message["record"]
            for record in records if isinstance(records, list) else [records]:  # an upload has several
                print(message["type"], json.dumps(record["data"]), flush=True)
            since = message["offset"]
    if frame.data == REFUSED:
        sys.exit(frame.extra)
    return since


async def main() -> None:
    name, *rest = sys.argv[1:]
    async with aiohttp.ClientSession() as http:
        await follow(http, f"{SERVER}/api/1/ce/{name}", *rest)


if __name__ == "__main__":
    asyncio.run(main())
