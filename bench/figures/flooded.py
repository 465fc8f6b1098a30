"""How late others are told while one client sends as fast as it can."""

import contextlib
import socket
import statistics
import threading
import time
from functools import partial
from types import TracebackType
from typing import Self

from bench.figures.under_load import PER_SECOND, milliseconds, p99
from bench.roomcast import CONDUCTED, Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, table

MESSAGES = 10_000  # that the client sends in a second
NAME = "Roomcast, Socket.IO, flooded"
HANDSHAKE = (
    "GET /ws/core/?jwt_token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MESSAGE = b'{"type":"nonsense"}'
FRAME = bytes((0x81, 0x80 | len(MESSAGE), 0, 0, 0, 0)) + MESSAGE  # a mask of zeros leaves it as it is


class Flood:
    """A client that sends MESSAGES a second and, since it is sent away for that, comes back each second; use as a
    context manager."""

    def __init__(self, server: Roomcast) -> None:
        self.address = "127.0.0.1", server.port
        self.handshake = HANDSHAKE.format(token=server.actor.token).encode()
        self.visits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood")

    def _run(self) -> None:
        while not self._stop.is_set():
            until = time.monotonic() + 1
            with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=1) as connection:
                connection.sendall(self.handshake)
                connection.recv(1 << 16)
                self.visits += 1
                connection.sendall(FRAME * MESSAGES)
                while connection.recv(1 << 16):
                    pass
            self._stop.wait(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def measure(options: Options, lineup: Lineup) -> Report:
    """Calm and flooded runs in turn."""
    count, seconds = min(options.subscribers), max(3.0, 4 * options.seconds)
    lineup.clear()
    server = lineup.get(NAME, partial(Roomcast, "socketio", only=CONDUCTED), count)
    turns, calm, flooded, visits = round(seconds * PER_SECOND), [], [], 0
    for _ in range(options.rounds):
        calm.append(p99(server, turns))
        with Flood(server) as flood:
            flooded.append(p99(server, turns))
        visits += flood.visits
    rows = [[milliseconds(calm), milliseconds(flooded)]]
    sent = f"while one client sends {MESSAGES:,} messages in a second, and comes back ({visits} times)"
    report = Report(f"Delivery to {count} sockets, p99 (ms)", table(["calm", sent], rows))
    value = statistics.median(a / b for a, b in zip(flooded, calm, strict=True))
    report.verdicts.append(Verdict("p99 while flooded / calm", value, 2.0, options.rounds))
    return report
