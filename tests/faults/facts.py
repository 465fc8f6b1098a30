"""What a write says about itself, so that an acknowledgement and the log can be compared."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from server.events.items import ItemRemoved, ItemUpdated
from server.events.records import RecordChanged
from tests.faults.checker import Findings
from tests.faults.truth import Committed, Log


class Fact(NamedTuple):
    """That something was written: the event's type (of records with the method), what it is about, the mark."""

    type: str
    about: str
    mark: str


def facts(event: Committed) -> Iterator[Fact]:
    """What an event says was written."""
    body = event.body
    match event.type:
        case "rows_created" | "rows_updated":
            for row in body["rows"]:
                for name in row:
                    if name.startswith("field_"):
                        yield Fact(event.type, str(row["id"]), str(row[name]))
        case "rows_deleted":
            yield from (Fact(event.type, str(number), "") for number in body["row_ids"])
        case ItemUpdated.type:
            yield Fact(event.type, body["id"], body["name"])
        case ItemRemoved.type:
            yield Fact(event.type, body, "")
        case RecordChanged.type:
            record = body["record"]
            yield Fact(body["type"], record["uniqueId"], "" if body["type"] == "DELETE" else str(record["data"]))
        case "group_updated":
            yield Fact(event.type, str(body["workspace_id"]), body["workspace"]["name"])


def check_writes(log: Log, acknowledged: Iterable[Fact]) -> Findings:
    """Every acknowledged write has exactly one event, and the log has no hole."""
    findings = Findings(committed=len(log.events))
    counted = Counter(fact for event in log.events for fact in facts(event))
    for fact in acknowledged:
        if counted[fact] != 1:
            findings.note("unwritten", f"{fact} was acknowledged and is {counted[fact]} times in the log")
    for hole in log.holes():
        findings.note("unwritten", f"the log has a hole after {hole}")
    return findings
