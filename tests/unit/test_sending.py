"""The loop in C: that it is compiled, what it answers, and that the server does without."""

import shutil
import socket
import subprocess
from array import array
from pathlib import Path

import pytest

from server.delivery import sending
from server.delivery.sending import Slot


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the loop is compiled to."""
    monkeypatch.setattr(sending, "LIBRARY", tmp_path / "_sending.so")
    return tmp_path


def test_it_is_compiled_where_there_is_a_compiler(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("cc") is None:
        with pytest.raises(OSError):
            sending.compile_library()
        return
    sending.compile_library()
    assert [each.name for each in place.iterdir()] == ["_sending.so"]
    monkeypatch.setattr(sending, "send_to_slots", sending.load_library())
    ours, theirs = socket.socketpair()
    full, slow = socket.socketpair()
    with ours, theirs, full, slow:
        full.setblocking(False)
        while True:  # until it takes nothing more
            try:
                full.send(bytes(1 << 16))
            except BlockingIOError:
                break
        slots = [Slot(number) for number in (ours.fileno(), full.fileno(), -1, ours.fileno())]
        numbers = array("i", [slot.number for slot in slots])
        assert list(sending.send(b"four", numbers)) == [(1, 0), (2, 0)]
        assert theirs.recv(99) == b"fourfour"
        ours.setblocking(False)
        ((index, sent),) = sending.send(bytes(64 << 20), numbers[:1])
        assert index == 0 and 0 < sent < 64 << 20


def test_a_slot_is_somebody_elses_only_when_nobody_has_it() -> None:
    first, second = Slot(11), Slot(12)
    number = first.number
    assert number != second.number
    crowd = [first]
    del first
    third = Slot(13)
    assert third.number != number and crowd[0].descriptor == 11
    crowd.clear()
    assert Slot.table[number] == -1, "nothing is written there any more"
    fourth = Slot(14)
    assert fourth.number == number and (fourth.descriptor, second.descriptor, third.descriptor) == (14, 12, 13)


def test_without_a_compiler_it_says_so_and_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(OSError):
        sending.compile_library()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(subprocess.CalledProcessError):
        sending.compile_library()
    assert list(place.iterdir()) == []


def test_a_library_of_another_version_is_not_used(place: Path) -> None:
    """It could mean something else by a slot."""
    if shutil.which("cc") is None:
        return
    (place / "old.c").write_text("int send_to_slots(void) { return 0; }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", place / "_sending.so", place / "old.c"], check=True)
    assert sending.load_library() is None


def test_what_is_no_library_of_this_system_is_not_used(place: Path) -> None:
    assert sending.load_library() is None
    (place / "_sending.so").write_bytes(b"not one")
    assert sending.load_library() is None
