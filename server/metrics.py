"""What the server counts, in the words of Prometheus: what limits refused, requests of webhooks, interpreted
documents, the process itself.

Invariants: nothing on the way of a message to a socket is counted here; counters move only when a limit is met (0.7
µs), the receiver of a webhook has answered or a document was interpreted, everything else is read when somebody asks.
Counters belong to the process, gauges to one application.
"""

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Limit(StrEnum):
    """What can be met; each has its settings, which `docs/operations.md` names."""

    CONNECTIONS_PER_USER = "connections_per_user"
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    CONNECTS_PER_SECOND = "connects_per_second"
    EVENTS_PER_SECOND = "events_per_second"
    LOGINS_PER_ACCOUNT = "logins_per_account"
    LOGINS_PER_ADDRESS = "logins_per_address"
    PAGES = "pages"
    FRAME_SIZE = "frame_size"
    BODY_SIZE = "body_size"
    BODY_TIME = "body_time"
    UPLOADS = "uploads"
    JSON_DEPTH = "json_depth"
    HEADERS = "headers"
    HEADER_TIME = "header_time"
    CONNECT_TIME = "connect_time"
    SEND_BUFFER = "send_buffer"
    SANDBOX_TIME = "sandbox_time"
    SANDBOX_MEMORY = "sandbox_memory"
    SANDBOX_QUEUE = "sandbox_queue"


disable_created_metrics()  # type: ignore[no-untyped-call]
PROCESS = CollectorRegistry()
ProcessCollector(registry=PROCESS)
_MET = Counter("roomcast_limits_met", "what a limit refused, cut or closed", ["limit"], registry=PROCESS)
_DELIVERIES = Counter("roomcast_webhook_deliveries", "requests of webhooks, by result", ["result"], registry=PROCESS)
_DELIVERED, _FAILED = _DELIVERIES.labels("delivered"), _DELIVERIES.labels("failed")
_INTERPRETATIONS = Counter("roomcast_interpretations", "documents, by what came of them", ["result"], registry=PROCESS)
_BY_LIMIT = {limit: _MET.labels(limit.value) for limit in Limit}


def met(limit: Limit) -> None:
    """Counts that a limit refused something."""
    _BY_LIMIT[limit].inc()


def times_met(limit: Limit) -> int:
    """How often that was counted since the process began."""
    return int(PROCESS.get_sample_value("roomcast_limits_met_total", {"limit": limit.value}) or 0)


def count_delivery(*, succeeded: bool) -> None:
    """Counts one request to the receiver of a webhook."""
    (_DELIVERED if succeeded else _FAILED).inc()


def count_interpretation(result: str) -> None:
    """Counts what came of a document: `interpreted`, `failed`, `dropped` because its item was changed meanwhile, or
    `postponed` because the server was too busy."""
    _INTERPRETATIONS.labels(result).inc()


class Gauges:
    """What can be read of one application at any time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def add(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        Gauge(f"roomcast_{name}", meaning, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        """All that is counted, as Prometheus reads it."""
        return generate_latest(PROCESS) + generate_latest(self.registry)
