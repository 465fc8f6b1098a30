"""What Redis says is read whole, however it comes."""

import pytest
from redis.exceptions import ResponseError

from server.delivery.redis_line import command, reply_at

SAID = (
    b"+PONG\r\n:7\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*0\r\n*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n*1\r\n*1\r\n:2\r\n"
)
MEANT = [b"PONG", b"7", b"a\r\nbc", b"", b"", [], [b"message", b"x", b"1"], [[b"2"]]]


def test_every_kind_of_reply_is_read_as_it_was_meant() -> None:
    replies, start = [], 0
    while (found := reply_at(SAID, start)) is not None:
        reply, start = found
        replies.append(reply)
    assert (replies, start) == (MEANT, len(SAID))


def test_a_reply_that_is_not_whole_waits_for_the_rest() -> None:
    whole = command(b"PUBLISH", b"x", b"a\r\nb" * 3)
    assert reply_at(whole, 0) == ([b"PUBLISH", b"x", b"a\r\nb" * 3], len(whole))
    assert [reply_at(whole[:size], 0) for size in range(len(whole))] == [None] * len(whole)


def test_an_error_is_told_from_a_text() -> None:
    found = reply_at(b"-NOPERM this user has no permissions\r\n", 0)
    assert found is not None and isinstance(found[0], ResponseError)
    assert str(found[0]) == "NOPERM this user has no permissions"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"*x\r\n", b"%1\r\n"])
def test_whatever_else_answers_is_no_redis(said: bytes) -> None:
    with pytest.raises(ValueError):
        reply_at(said, 0)
