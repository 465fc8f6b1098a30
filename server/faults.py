"""Points of the code at which a test may let the process die; in production each costs one look into an empty table.

Invariant: nothing is armed but by the setting FAULT_POINTS, which no deployment sets.
"""

import os
import random
import signal
from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}


def arm(points: str) -> None:
    """Arms points such as `before_bell:kill:3,mid_replay:kill~0.01`: at the third pass, at each pass by chance."""
    _armed.clear()
    for point in filter(None, points.split(",")):
        name, _, how = point.partition(":")
        _armed[name] = parse(how)


def parse(how: str) -> Callable[[], None]:
    """What happens at a point; raises ValueError for what is unknown."""
    if how.startswith("kill~"):
        chance = float(how.removeprefix("kill~"))
        return lambda: kill() if random.random() < chance else None
    word, _, count = how.partition(":")
    if word != "kill":
        raise ValueError(f"unknown fault: {how}")
    return after_passes(int(count or 1))


def after_passes(count: int) -> Callable[[], None]:
    """Kills at the pass with this number."""
    left = [count]

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            kill()

    return step


def kill() -> None:
    """Ends this process as a crash would."""
    os.kill(os.getpid(), signal.SIGKILL)


def reach(name: str) -> None:
    """Passes a point."""
    if _armed and name in _armed:
        _armed[name]()
