"""The state beside the log: whether what a table holds is what the log says became of it."""

from typing import Any

from server.events import rooms
from tests.faults.checker import Findings
from tests.faults.crowd import Crowd
from tests.faults.facts import facts
from tests.faults.truth import Log, read_log

PAGE = 200  # rows
FIRST = "first"  # what the row holds that the stage's table was made with


async def check_rows(crowd: Crowd) -> Findings:
    """The rows of the stage's table against the log: a change that is only half there leaves one without the other."""
    log = read_log(crowd.cluster.database_url)
    findings = Findings(committed=len(log.events))
    told, held = told_rows(crowd, log), await held_rows(crowd)
    for number in sorted({*told, *held}):
        if told.get(number) != held.get(number):
            findings.note("unwritten", f"row {number} holds {held.get(number)}, the log says {told.get(number)}")
    return findings


def told_rows(crowd: Crowd, log: Log) -> dict[str, str]:
    """Row -> text, after all that the log tells."""
    found: dict[str, str] = {}
    for event in log.by_room[rooms.table(crowd.stage.table)]:
        for fact in facts(event):
            if fact.type == "rows_deleted":
                found.pop(fact.about, None)
            else:
                found[fact.about] = fact.mark
    return found


async def held_rows(crowd: Crowd) -> dict[str, str]:
    """Row -> text, as REST reads them; without the one that the table was made with, which no event tells."""
    found: dict[str, str] = {}
    path: Any = f"/api/database/rows/table/{crowd.stage.table}/?size={PAGE}&page=1"
    while path:
        answer = await crowd.stage.ann.ok("GET", path)
        found |= {str(row["id"]): row[f"field_{crowd.stage.field}"] for row in answer["results"]}
        path = answer["next"] and "/api/" + answer["next"].partition("/api/")[2]
    return {number: text for number, text in found.items() if text != FIRST}
