"""Chance, where it is no secret: asking the kernel for random numbers would give up the interpreter's lock.

Not Python's common generator: whoever seeds that, as tests do, would have all processes wait, and name their requests,
alike.
"""

import os
from random import Random

DICE = Random()
os.register_at_fork(after_in_child=DICE.seed)


def jittered(pause: float, share: float) -> float:
    """A pause that is longer or shorter by up to this share, so that those that wait do not all end it at once."""
    return pause * DICE.uniform(1 - share, 1 + share)
