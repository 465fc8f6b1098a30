"""What limits refused meanwhile."""

from collections.abc import Callable

from server.metrics import Limit, times_met


def watch_limits() -> Callable[[], dict[str, int]]:
    """Begins to watch; what it returns tells how often each limit was met since, without those that were not."""
    before = {limit: times_met(limit) for limit in Limit}
    return lambda: {limit.value: more for limit in Limit if (more := times_met(limit) - before[limit])}
