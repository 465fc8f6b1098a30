"""How long an upload is waited for, and what is believed of its parts."""

import asyncio
from contextlib import suppress

import pytest

from server.errors import BODY_TOO_SLOW, Refused
from server.rest.file_names import file_name, type_of
from server.rest.uploads import LEAST_RATE, LONGEST, Patience


class Clock:
    """A clock that only reading moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def read(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("server.rest.uploads.time", clock)
    return clock


async def seconds_granted(clock: Clock, rate: float) -> float:
    """After how many seconds a client of this rate, in bytes a second, is given up; a day when it is not."""
    patience = Patience(60)
    with suppress(Refused):
        while clock.now < 86_400:
            await patience.wait(clock.read(1))
            patience.came(int(rate))
    return clock.now


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0, 60), (LEAST_RATE / 2, 120), (LEAST_RATE, LONGEST), (100 * LEAST_RATE, LONGEST)]
)
async def test_who_sends_enough_is_waited_for_as_long_as_files_may_wait(
    clock: Clock, rate: float, seconds: float
) -> None:
    assert abs(await seconds_granted(clock, rate) - seconds) <= 1


async def test_who_is_given_up_is_told_why(clock: Clock) -> None:
    patience = Patience(60)
    await patience.wait(clock.read(61))
    with pytest.raises(Refused) as refused:
        await patience.wait(clock.read(0))
    assert refused.value.kind is BODY_TOO_SLOW


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\files\\b.txt", "b.txt"),
        ("a\r\nSet-Cookie: x\0", "aSet-Cookie: x"),
        ("\udcff.txt", ".txt"),
        ("x" * 300, "x" * 255),
        ("/", "file"),
        ("a/..", "file"),
        ("", "file"),
        (None, "file"),
    ],
)
def test_names_lose_what_could_do_harm(given: str | None, name: str) -> None:
    assert file_name(given) == name


def test_a_raster_image_is_known_by_its_bytes() -> None:
    assert type_of(b"\x89PNG\r\n\x1a\n", "text/plain") == "image/png"
    assert type_of(b"<svg/>", "image/png") == "application/octet-stream"
    assert type_of(b"%PDF-1.7", "Application/PDF; x=y") == "application/pdf"
    assert type_of(b"x", "a" * 200 + "/x") == "application/octet-stream"


def test_a_pdf_is_known_where_its_sender_says_nothing() -> None:
    assert type_of(b"%PDF-1.7", "") == type_of(b"%PDF-1.7", "application/octet-stream") == "application/pdf"
    assert type_of(b"%PDF-1.7", "text/plain") == "text/plain"
