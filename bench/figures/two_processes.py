"""Two processes on one database with Redis between them, against one without."""

import statistics
from contextlib import ExitStack

from bench.figures.cpu_per_delivery import AGAIN, EACH, SERVERS
from bench.roomcast import Roomcast, RoomcastNode
from bench.rounds import (
    LEAD,
    Lineup,
    Options,
    Report,
    Verdict,
    cpu_per_delivery,
    interleave,
    ratio,
    settle,
    table,
    warm_up,
)
from tests.support.redis_server import RedisServer

SINGLE, DOUBLE = "one process", "two processes with Redis"
ELSEWHERE = 2000  # events that concern nobody on the second process
AT_MOST = 20.0  # microseconds of CPU for each of them


def measure(options: Options, lineup: Lineup) -> Report:
    """Both processes have half of the subscribers, and share the servers' core."""
    count = min(options.subscribers)
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        single = stack.enter_context(Roomcast("socketio"))
        main = stack.enter_context(RoomcastNode("socketio", redis_url=redis.url))
        second = stack.enter_context(RoomcastNode("socketio", redis_url=redis.url, main=main))
        idle = {each: [idle_cost(main, second, each) for _ in range(options.rounds)] for each in (1, 10)}
        single.fill(count)
        warm_up(single)
        main.fill(count // 2)
        second.fill(count // 2)
        both(main, second, options.seconds)
        limits = {name: lineup.get(name, SERVERS[name], count) for name in (EACH, AGAIN)}
        jobs = {
            SINGLE: lambda: cpu_per_delivery(single, 1, options.seconds),
            DOUBLE: lambda: both(main, second, options.seconds),
            EACH: lambda: cpu_per_delivery(limits[EACH], 1, options.seconds),
            AGAIN: lambda: cpu_per_delivery(limits[AGAIN], 1, options.seconds),
        }
        samples = interleave(options.rounds, jobs, lambda job: job())
    rows = [[name, f"{statistics.median(taken):.2f}"] for name, taken in samples.items()]
    rows += [
        [f"an event without local members, {each} a transaction", f"{statistics.median(taken):.1f}"]
        for each, taken in idle.items()
    ]
    report = Report(f"Two processes, {count} subscribers between them (µs of CPU)", table(["", "µs"], rows))
    control = ratio(samples, AGAIN, EACH)
    report.verdicts = [
        Verdict("CPU per delivery: two / one", ratio(samples, DOUBLE, SINGLE), 1.1, options.rounds, control=control),
        *(
            Verdict(
                f"event without local members, {each} a transaction", statistics.median(taken), AT_MOST, options.rounds
            )
            for each, taken in idle.items()
        ),
    ]
    return report


def both(main: Roomcast, second: Roomcast, seconds: float) -> float:
    """CPU of both processes for each delivery to the clients of both, after some turns that are not counted."""
    play_both(main, second, LEAD * seconds)
    return play_both(main, second, seconds)


def play_both(main: Roomcast, second: Roomcast, seconds: float) -> float:
    connections = main.load.connections + second.load.connections
    turns = max(2, round(seconds * 1e6 / main.costs.get(1, main.weight) / connections))
    before = main.cpu() + second.cpu()
    second.load.watch(turns, main.load.next)
    heard = [main.load.round(turns, 1), second.load.result()]
    used = main.cpu() + second.cpu() - before
    if not all(one.whole for one in heard):
        raise RuntimeError(f"deliveries were lost or mixed up: {heard}")
    main.costs[1] = used * 1e6 / sum(one.deliveries for one in heard)
    return main.costs[1]


def idle_cost(main: Roomcast, second: Roomcast, each: int) -> float:
    """CPU of the process without members for each event; one subscriber of the other sets the pace."""
    main.fill(1)
    settle(second)
    before = second.cpu()
    main.load.round(ELSEWHERE // each, each)
    settle(second)
    return (second.cpu() - before) * 1e6 / ELSEWHERE
