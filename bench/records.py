"""An endpoint with 100,000 records: reading one and pages of them, POSTs that 50 sockets hear, and a file of 100 MB.

python -m bench records [--rounds 7] [--seconds 2] [--sqlite] [--write]
"""

import json
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from bench.http_load import Connection
from bench.listeners import Listener
from bench.record_shop import OPEN, RECORDS, VAULT, Shop
from bench.subject import A_SECOND, Make, Subject, run
from bench.uploads import download, plain_write, read_middle, upload

PAGE = 100  # records
DEEP = 90_000  # records before the page
NAMED = 50  # records that are read by their ids
ONE, LIST = "one by its id", f"{NAMED} by their ids"
FIRST, LATER, DATA = f"{PAGE} first", f"{PAGE} after {DEEP:,}", f"{PAGE} after {DEEP:,}, dataOnly"
UPLOAD, DISK = "upload of 100 MB: MB/s", "the same bytes written by one loop: MB/s"
DOWNLOAD, MIDDLE = "download of it: MB/s", "1 MB of it by Range: ms"
GROWTH = "memory of the server while a file comes: MB more"
GROWTH_BACK = "memory of the server while it goes: MB more"
FLAT = 16.0  # MB that a file of 100 may take


def of(name: str, what: str) -> str:
    return f"GET {name}, {what}"


class Records(Subject):
    """Two endpoints: anybody's, and one where each user sees what is the user's own."""

    title = "Records"
    bounds: ClassVar = {f"{of(name, what)}: ms": most for name in (OPEN, VAULT) for what, most in
              ((ONE, 5.0), (FIRST, 30.0), (LATER, 30.0))} | {GROWTH: FLAT, GROWTH_BACK: FLAT}  # fmt: skip
    least: ClassVar = {f"POST {name}: {A_SECOND}": 800.0 for name in (OPEN, VAULT)}

    async def fill(self) -> None:
        self.shop = Shop(self.server)
        await self.shop.fill()

    def reads(self) -> dict[str, Make]:
        return {of(name, what): make for name in (OPEN, VAULT) for what, make in self.reads_of(name).items()}

    def reads_of(self, name: str) -> dict[str, Make]:
        shop, dice = self.shop, random.Random(7)

        def some(count: int) -> str:
            return ",".join(dice.sample(shop.ids[name], count))

        return {
            ONE: lambda: shop.get(name, uniqueId=some(1)),
            LIST: lambda: shop.get(name, uniqueId=some(NAMED)),
            FIRST: lambda: shop.get(name, limit=PAGE),
            LATER: lambda: shop.get(name, limit=PAGE, offset=DEEP + dice.randrange(RECORDS - DEEP - PAGE)),
            DATA: lambda: shop.get(name, limit=PAGE, offset=DEEP, dataOnly="true"),
        }

    def changes(self) -> dict[str, Callable[[int], bytes]]:
        return {f"POST {name}": partial(self.shop.post, name) for name in (OPEN, VAULT)}

    async def listen(self, change: str) -> Listener:
        return await Listener.open(self.server.port, self.shop.socket_path(change.removeprefix("POST ")))

    def made(self, body: bytes) -> str:
        return str(json.loads(body)["uniqueId"])

    def told(self, socket: Listener) -> list[str]:
        return [message["record"]["uniqueId"] for message in socket.messages()]

    async def committed(self, change: str, connection: Connection, sockets: Sequence[Listener]) -> list[str]:
        return await self.shop.read_new(connection, change.removeprefix("POST "))

    def measure_besides(self) -> None:
        """A file comes and goes."""
        port, pid = self.server.port, self.server.child.pid
        unique_id, came = upload(port, self.shop.path(OPEN), pid)
        self.shop.count[OPEN] += 1
        path = self.shop.path(OPEN, uniqueId=unique_id, fileOnly="true", stream="true")
        went, middle = download(port, path, pid), read_middle(port, path)
        self.note({UPLOAD: came.per_second, DISK: plain_write(self.server.folder), GROWTH: came.grown})
        self.note({DOWNLOAD: went.per_second, MIDDLE: middle, GROWTH_BACK: went.grown})


def main(arguments: Sequence[str] | None = None) -> None:
    run("records", Records, f"{RECORDS:,} records a user on each endpoint, 230 bytes each", arguments)


if __name__ == "__main__":
    main()
