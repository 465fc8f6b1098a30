"""A file of 100 MB that comes to an endpoint and goes: how fast, and how much memory the server takes for it."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.http_load import HOST

SIZE = 100 << 20  # bytes, the default of MAX_FILE_SIZE
PIECE = os.urandom(1 << 20)
BOUNDARY = "----------------------------bench"
HEAD = (
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"film.bin\"\r\n"
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()  # fmt: skip
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


class Passage(NamedTuple):
    per_second: float  # MB
    grown: float  # MB, from the memory before it to the most while it ran


class Watch:
    """The memory of a process, and the time, from now on."""

    def __init__(self, pid: int) -> None:
        self.pid, self.before = pid, memory(pid, "VmRSS")
        forget_peak(pid)
        self.began = time.perf_counter()

    def stop(self) -> Passage:
        taken = time.perf_counter() - self.began
        return Passage(SIZE / taken / 1e6, (memory(self.pid, "VmHWM") - self.before) / 1e6)


def upload(port: int, path: str, pid: int) -> tuple[str, Passage]:
    """Sends one file and waits for the answer, which comes when the file is on the disk; returns the record's id."""
    size = str(len(HEAD) + SIZE + len(TAIL))
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": size}
    watch = Watch(pid)
    with answered(port, "POST", path, headers, pieces()) as answer:
        text, passage = answer.read(), watch.stop()
    return json.loads(text)["uniqueId"], passage


def download(port: int, path: str, pid: int) -> Passage:
    """Reads the whole file piece by piece; raises RuntimeError unless it is what was sent."""
    watch = Watch(pid)
    with answered(port, "GET", path, {}) as answer:
        for number in range(SIZE // len(PIECE)):
            if answer.read(len(PIECE)) != PIECE:
                raise RuntimeError(f"the file is another one from MB {number} on")
        return watch.stop()


def read_middle(port: int, path: str) -> float:
    """Milliseconds for one MB from the middle, by Range; raises RuntimeError unless it is what was sent."""
    start, began = SIZE // 2 + len(PIECE) // 2, time.perf_counter()
    with answered(port, "GET", path, {"Range": f"bytes={start}-{start + len(PIECE) - 1}"}) as answer:
        half, text = len(PIECE) // 2, answer.read()
        taken = time.perf_counter() - began
    if (answer.status, text) != (206, PIECE[half:] + PIECE[:half]):
        raise RuntimeError(f"another part of the file came: {answer.status}")
    return taken * 1000


@contextmanager
def answered(
    port: int, method: str, path: str, headers: dict[str, str], body: Iterator[bytes] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request on a connection of its own; raises RuntimeError when it is refused."""
    connection = http.client.HTTPConnection(HOST, port, timeout=120)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        if answer.status // 100 != 2:
            raise RuntimeError(f"{method} was refused: {answer.status} {answer.read()!r}")
        yield answer
    finally:
        connection.close()


def pieces() -> Iterator[bytes]:
    yield HEAD
    for _ in range(SIZE // len(PIECE)):
        yield PIECE
    yield TAIL


def plain_write(folder: Path) -> float:
    """MB a second of the disk alone: the same bytes written, and waited for."""
    path, began = folder / "plain", time.perf_counter()
    with path.open("wb") as file:
        for _ in range(SIZE // len(PIECE)):
            file.write(PIECE)
        os.fsync(file.fileno())
    taken = time.perf_counter() - began
    path.unlink()
    return SIZE / taken / 1e6


def memory(pid: int, what: str) -> int:
    """Bytes of `VmRSS`, that is now, or `VmHWM`, the most there were."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what + ":")) * 1024


def forget_peak(pid: int) -> None:
    """Lets `VmHWM` begin anew."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
