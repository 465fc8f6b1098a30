"""Checks the load generator before it is believed: it must count the losses, doubles and disorder that it is told."""

import socketserver
import threading
from contextlib import suppress

from bench import change
from bench.load import Clients, Load

FIRST, TURNS = 1, 9
TOLD = [1, 2, 4, 3, 5, 5, 8, 9, 8, 7]  # 6 is lost; 5 and 8 come twice; 3 and 7 come late


def check() -> None:
    """Raises RuntimeError when the generator miscounts."""
    with Sender() as sender:
        thread = threading.Thread(target=sender.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with Load(sender.server_address[1], 0, [Clients("-")]) as load:
            load.open(1)
            load.watch(TURNS, FIRST, silence=200)
            sender.go.set()
            heard = load.result()
        sender.shutdown()
        thread.join()
    counts = heard.deliveries, heard.lost, heard.duplicates, heard.disordered
    if counts != (8, 1, 2, 2):
        raise RuntimeError(f"the load generator miscounts: {heard}")


class Sender(socketserver.ThreadingTCPServer):
    """Tells everybody who connects the same, when it may go, with frames cut into small pieces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.go = threading.Event()


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Sender)
        self.server.go.wait()
        frames = b"".join(frame(change.encoded(1, number, 1)) for number in TOLD)
        for start in range(0, len(frames), 50):
            self.request.sendall(frames[start : start + 50])
        with suppress(ConnectionError):
            self.request.recv(1)  # until the other side closes


def frame(payload: bytes) -> bytes:
    """A text frame of RFC 6455 of 126 to 65535 bytes."""
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
