"""The figures, each a module of its own, in the order in which they are measured."""

from collections.abc import Callable
from typing import TypeAlias

from bench.figures import (
    accepted,
    cpu_per_delivery,
    end_to_end,
    flooded,
    latency,
    memory,
    mixed_room,
    two_processes,
    under_load,
)
from bench.rounds import Lineup, Options, Report

Measure: TypeAlias = Callable[[Options, Lineup], Report]
ALL: dict[str, Measure] = {
    "cpu_one_at_a_time": cpu_per_delivery.one_at_a_time,
    "cpu_ten_per_turn": cpu_per_delivery.ten_per_turn,
    "mixed_room": mixed_room.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "accepted": accepted.measure,
    "under_load": under_load.measure,
    "flooded": flooded.measure,
    "end_to_end": end_to_end.measure,
    "two_processes": two_processes.measure,
}
QUICK = ("cpu_one_at_a_time", "cpu_ten_per_turn", "mixed_room", "latency", "accepted")
