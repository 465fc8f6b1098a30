"""What Redis says is read whole, however it comes."""

from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from server.delivery.redis_line import Line, Reply, command

SAID = (
    b"+PONG\r\n:7\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*0\r\n*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n*1\r\n*1\r\n:2\r\n"
)
MEANT = [b"PONG", 7, b"a\r\nbc", b"", None, [], [b"message", b"x", 1], [[2]]]


class Opened:
    """What the library has opened: a transport that is idle."""

    def __init__(self) -> None:
        self.aborted = False
        self._writer = SimpleNamespace(transport=self)

    def get_protocol(self) -> None:
        """The library's own, which has nothing more to do here."""

    def set_protocol(self, protocol: Any) -> None:
        """Ours."""

    def abort(self) -> None:
        self.aborted = True


def hear(*pieces: bytes) -> tuple[list[Reply], Opened]:
    """The replies in what comes piece by piece."""
    heard, opened = list[Reply](), Opened()
    line = Line(opened, heard.append)
    for piece in pieces:
        line.data_received(piece)
    return heard, opened


async def test_every_kind_of_reply_is_read_as_it_was_meant() -> None:
    assert hear(SAID)[0] == MEANT


async def test_a_reply_that_is_not_whole_waits_for_the_rest() -> None:
    whole = command(b"PUBLISH", b"x", b"a\r\nb" * 3)
    for size in range(len(whole)):
        assert hear(whole[:size])[0] == []
        assert hear(whole[:size], whole[size:])[0] == [[b"PUBLISH", b"x", b"a\r\nb" * 3]]


async def test_an_error_is_told_from_a_text() -> None:
    ((found,), opened) = hear(b"-NOPERM this user has no permissions\r\n")
    assert isinstance(found, ResponseError) and not opened.aborted
    assert str(found) == "NOPERM this user has no permissions"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"*x\r\n"])
async def test_whatever_else_answers_is_no_redis(said: bytes) -> None:
    heard, opened = hear(said)
    assert opened.aborted and not heard
