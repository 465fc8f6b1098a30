"""Launcher between the test runner and a child: `guard.py PARENT_PID DEATH_SIGNAL USER COMMAND…`.

Becomes USER (`-`: stays who it is), asks the kernel for DEATH_SIGNAL when the runner dies, then becomes COMMAND under
the same process id. A program of its own because code between fork and exec is not safe in a process with threads.
Order matters: Linux forgets the death signal when the user changes.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, signal, user, *command = sys.argv[1:]
    if user != "-":
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the kernel knew
        sys.exit("the test runner is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error}")


main()
