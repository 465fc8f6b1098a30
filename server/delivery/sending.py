"""The same bytes to many sockets in one call: a loop of `send` in C, where it was compiled.

Python's own `socket.send` gives up the interpreter at each call, so beside a busy thread a thousand of them take
seconds; and between two calls it spoils the caches that the kernel needs. The loop keeps the interpreter and costs
little more than the kernel does (bench/RESULTS.md). `python -m server.delivery.sending` compiles it, with the C
compiler of the system; without it everything works, slower.
"""

import ctypes
import os
import shlex
import subprocess
import sys
import sysconfig
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        return ctypes.PyDLL(str(LIBRARY)).send_to_all  # which keeps the interpreter, unlike CDLL
    except (OSError, AttributeError):
        return None


send_to_all = load_library()


def send(data: bytes, descriptors: list[int]) -> Iterator[tuple[int, int]]:
    """Sends to all; gives place and number of bytes sent for each socket that did not take everything, whatever the
    reason. Only where `send_to_all` is there."""
    count = len(descriptors)
    sockets, short_of, taken = array("i", descriptors), array("i", bytes(4 * count)), array("i", bytes(4 * count))
    left = send_to_all(address(sockets), count, data, ctypes.c_size_t(len(data)), address(short_of), address(taken))
    return zip(short_of[:left], taken[:left], strict=True)


def address(numbers: "array[int]") -> ctypes.c_void_p:
    return ctypes.c_void_p(numbers.buffer_info()[0])


if __name__ == "__main__":
    try:
        compile_library()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"sockets are written to one by one, which works too: there is no loop in C ({error})")
