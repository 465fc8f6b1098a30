"""Stands in for `websocat --no-close URL` where the shell examples run: prints each message as a line, until the
connection ends. The program itself is nothing that the tests could install."""

import asyncio
import sys

import aiohttp


async def main(url: str) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        async for message in socket:
            print(message.data, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[-1]))
    except (OSError, aiohttp.ClientError):
        sys.exit(1)
