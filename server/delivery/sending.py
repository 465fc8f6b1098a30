"""The same bytes to many sockets in one call: a loop of `send` in C, where it was compiled.

Python's own `socket.send` gives up the interpreter at each call, so beside a busy thread a thousand of them take
seconds; and between two calls it spoils the caches that the kernel needs. The loop keeps the interpreter and costs
little more than the kernel does (bench/RESULTS.md). It finds the descriptors in one table, by the slots of the sockets:
to look at a thousand objects of Python would cost a third of a microsecond each, most of it for waiting for memory,
since the kernel's work has filled the caches in between. `python -m server.delivery.sending` compiles it, with the C
compiler of the system; without it everything works, slower.
"""

import ctypes
import os
import shlex
import subprocess
import sys
import sysconfig
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = SOURCE.with_name(f"_sending{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}")


def compile_library() -> None:
    """Compiles the loop beside its source; raises OSError or CalledProcessError."""
    made = LIBRARY.with_name(f"{LIBRARY.name}.{os.getpid()}")  # a server that starts meanwhile sees all or none
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-O2", "-shared", "-fPIC", "-o", str(made), str(SOURCE)], check=True)
    made.replace(LIBRARY)


def load_library() -> Any:
    """The function of the loop; None where it was not compiled, or not for this system."""
    try:
        # PyDLL keeps the interpreter, unlike CDLL; a library of an earlier version has no function of this name
        loop = ctypes.PyDLL(str(LIBRARY)).send_by_slots
    except (OSError, AttributeError):
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    loop.argtypes = pointer, pointer, number, ctypes.c_char_p, ctypes.c_size_t, pointer, pointer
    return loop


send_to_slots = load_library()


class Slot:
    """The place of one socket in the table of descriptors. It is nobody else's as long as this object is there, so who
    keeps sockets and the numbers of their slots together never writes to another socket."""

    __slots__ = ("number",)
    table = array("i")
    free: ClassVar[list[int]] = []

    def __init__(self, descriptor: int) -> None:
        if self.free:
            self.number = self.free.pop()
            self.descriptor = descriptor
        else:
            self.number = len(self.table)
            self.table.append(descriptor)

    @property
    def descriptor(self) -> int:
        """Where the loop writes to; -1 while it may not."""
        return self.table[self.number]

    @descriptor.setter
    def descriptor(self, value: int) -> None:
        self.table[self.number] = value

    def __del__(self) -> None:
        self.descriptor = -1
        self.free.append(self.number)


_short_of, _taken = array("i"), array("i")  # what the loop answers; who reads it before the next call needs no other


def send(data: bytes, slots: "array[int]") -> Sequence[tuple[int, int]]:
    """Sends to all; gives place and number of bytes sent for each socket that did not take everything, whatever the
    reason. Only where `send_to_slots` is there."""
    count = len(slots)
    if count > len(_taken):
        more = bytes(4 * (count - len(_taken)))
        _short_of.frombytes(more)
        _taken.frombytes(more)
    left = send_to_slots(
        address(Slot.table), address(slots), count, data, len(data), address(_short_of), address(_taken)
    )
    return list(zip(_short_of[:left], _taken[:left], strict=True)) if left else ()


def address(numbers: "array[int]") -> int:
    return numbers.buffer_info()[0]


if __name__ == "__main__":
    try:
        compile_library()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"sockets are written to one by one, which works too: there is no loop in C ({error})")
