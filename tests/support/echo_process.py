"""The echo server of the conformance tests as a process of its own, as the official suites meet it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Child, free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def echo_process(**variables: str) -> Iterator[str]:
    """A running echo server with these environment variables; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.conformance.echo_server"]
    server = Child(command, env={**os.environ, "PORT": str(port)} | variables, cwd=ROOT)
    try:
        server.wait_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
