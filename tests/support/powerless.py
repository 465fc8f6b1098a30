"""`python -m tests.support.powerless …` is `python -m server …` by a user to whom the permissions of files apply.

They do not apply to root, who runs tests in containers, as long as root has CAP_DAC_OVERRIDE; so it is given up. What
is left to root is what the owner of a file may do.
"""

import ctypes
import os
import runpy
import sys

VERSION = 0x20080522  # of the structures below
CAP_DAC_OVERRIDE = 1


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up(capability: int) -> None:
    """Takes one of the first 32 capabilities from this process; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = Header(VERSION, 0), (Sets * 2)()
    if libc.capget(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capget")
    sets[0].effective &= ~(1 << capability)
    sets[0].permitted &= ~(1 << capability)
    if libc.capset(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    if os.geteuid() == 0 and sys.platform == "linux":
        give_up(CAP_DAC_OVERRIDE)
    runpy.run_module("server", run_name="__main__")
