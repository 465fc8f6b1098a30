"""The checker itself: a sound history passes, and each kind of damage is found where it is."""

from collections.abc import Iterable
from typing import Any

import pytest

from server.events.control import AccessEnded, AccessGranted
from tests.faults.checker import Findings, check_client
from tests.faults.facts import Fact, check_writes
from tests.faults.history import Connected, Entry, History, Interest, Joined, Refreshed, Told, fingerprint
from tests.faults.truth import Committed, Log

ANN, WORKSPACE = 1, 9
TABLE, TEAM, ELSEWHERE = "core:table:5", "core:workspace:9", "core:table:6"
INTERESTS = (Interest(TABLE, WORKSPACE), Interest(TEAM, WORKSPACE, follows=True))


def change(number: int, room: str = TABLE, origin: tuple[int, str] | None = None) -> Committed:
    return Committed(number, "rows_created", frozenset([room]), {"row": number}, origin)


def control(number: int, kind: type[AccessGranted] | type[AccessEnded]) -> Committed:
    return Committed(number, kind.type, frozenset(["control"]), {"user_id": ANN, "workspace_id": WORKSPACE})


def log(*numbers: int, more: Iterable[Committed] = ()) -> Log:
    """Ann becomes a member at 1; the numbers are changes of her table."""
    return Log([control(1, AccessGranted), *more, *(change(number) for number in numbers)])


def told(*numbers: int) -> list[Entry]:
    return [Told(number, "rows_created", fingerprint({"row": number})) for number in numbers]


def unnumbered(*numbers: int) -> list[Entry]:
    return [Told(None, "rows_created", fingerprint({"row": number})) for number in numbers]


def history(*entries: Entry, joined: int = 1, **more: Any) -> History:
    begin: list[Entry] = [Connected(), Joined(TABLE, joined, asked=joined), Joined(TEAM, joined)]
    return History("ann", ANN, INTERESTS, start=1, entries=[*begin, *entries], **more)


def classic(*entries: Entry) -> History:
    begin: list[Entry] = [Connected(), Joined(TABLE), Joined(TEAM)]
    return History("ann", ANN, INTERESTS, start=1, continues=False, entries=[*begin, *entries])


def wrong(findings: Findings) -> dict[str, int]:
    kinds = ("missing", "doubled", "disordered", "foreign")
    return {kind: getattr(findings, kind) for kind in kinds if getattr(findings, kind)}


def test_a_sound_history_passes_and_is_counted() -> None:
    findings = check_client(log(2, 3, 4), history(*told(2, 3), Connected(), *told(4)))
    assert (wrong(findings), findings.told, findings.committed) == ({}, 3, 4)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (told(2, 4), {"missing": 1}),
        (told(3, 4), {"missing": 1}),
        (told(2, 3), {"missing": 1}),
        ([], {"missing": 3}),
        (told(2, 3, 3, 4), {"doubled": 1}),
        ([*told(2, 3), Connected(), *told(2, 3, 4)], {"doubled": 2}),
        (told(2, 4, 3), {"disordered": 1}),
        (told(2, 3, 4, 77), {"foreign": 1}),
        ([*told(2, 3, 4), Told(4, "rows_created", "another content")], {"foreign": 1}),
        ([*told(2, 3), Told(4, "rows_deleted", fingerprint({"row": 4}))], {"foreign": 1}),
        ([*told(2, 3), *unnumbered(4)], {"foreign": 1}),  # a client with a cursor cannot go on from there
    ],
)
def test_each_damage_is_found(entries: list[Entry], found: dict[str, int]) -> None:
    findings = check_client(log(2, 3, 4), history(*entries))
    assert wrong(findings) == found
    assert len(findings.examples) == sum(found.values())


def test_an_event_of_a_room_that_was_not_joined_is_foreign() -> None:
    findings = check_client(log(2, 4, more=[change(3, ELSEWHERE)]), history(*told(2, 3, 4)))
    assert wrong(findings) == {"foreign": 1}


def test_nothing_from_before_the_join_of_a_page_is_told() -> None:
    assert wrong(check_client(log(2, 3, 4), history(*told(3, 4), joined=2))) == {}
    assert wrong(check_client(log(2, 3, 4), history(*told(2, 3, 4), joined=2))) == {"foreign": 1}


def test_what_came_between_asking_and_the_answer_may_be_told_and_need_not() -> None:
    for entries in (told(4), told(3, 4)):
        seen = History("ann", ANN, INTERESTS[:1], start=1, entries=[Joined(TABLE, 3, asked=2), *entries])
        assert wrong(check_client(log(2, 3, 4), seen)) == {}


def test_the_own_change_is_not_told() -> None:
    written = log(2, 4, more=[change(3, origin=(ANN, "own"))])
    assert wrong(check_client(written, history(*told(2, 4), sockets={"own"}))) == {}
    assert wrong(check_client(written, history(*told(2, 3, 4), sockets={"own"}))) == {"foreign": 1}
    assert wrong(check_client(written, history(*told(2, 4), sockets={"other"}))) == {"missing": 1}


REMOVED = [control(4, AccessEnded), control(7, AccessGranted)]


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (told(2, 3, 8), {}),
        (told(2, 3, 5, 8), {"foreign": 1}),  # told while not a member
        (told(2, 8), {"missing": 1}),  # lost before the removal, on a connection that stood
        ([*told(2), Connected(), *told(8)], {}),  # not connected then: no longer entitled on return
        ([*told(2, 3), Connected(), *told(6, 8)], {"foreign": 1}),  # replayed from the time between
        (told(2, 3), {"missing": 1}),  # not told after the re-admission
    ],
)
def test_a_membership_is_the_span_in_which_events_are_told(entries: list[Entry], found: dict[str, int]) -> None:
    written = log(more=[*REMOVED, *(change(number, TEAM) for number in (2, 3, 5, 6, 8))])
    assert wrong(check_client(written, history(*entries))) == found


def test_a_page_ends_with_the_membership_until_it_is_joined_again() -> None:
    written = log(2, 3, 8, 9, 10, more=REMOVED)
    assert wrong(check_client(written, history(*told(2, 3)))) == {}
    again = Joined(TABLE, 9, asked=8)
    assert wrong(check_client(written, history(*told(2, 3), again, *told(10)))) == {}
    assert wrong(check_client(written, history(*told(2, 3), again))) == {"missing": 1}
    assert wrong(check_client(written, history(*told(2, 3, 8), again, *told(10)))) == {"foreign": 1}


def test_a_refresh_allows_a_gap_there_and_nowhere_else() -> None:
    findings = check_client(log(2, 3, 4, 5, 6), history(*told(2), Refreshed(4), *told(5, 6)))
    assert (wrong(findings), findings.refreshed) == ({}, 1)
    assert wrong(check_client(log(2, 3, 4, 5, 6), history(*told(2), Refreshed(4), *told(6)))) == {"missing": 1}
    assert wrong(check_client(log(2, 3, 4, 5, 6), history(*told(3), Refreshed(4), *told(5, 6)))) == {"missing": 1}


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (unnumbered(3, 4), {}),  # it may begin late and end early
        ([*unnumbered(2), Connected(), Joined(TABLE), Joined(TEAM), *unnumbered(5, 6)], {}),
        ([*unnumbered(2, 3), Connected(), Joined(TABLE), Joined(TEAM), *unnumbered(3, 4)], {}),  # a node behind
        (unnumbered(2, 4), {"missing": 1}),
        (unnumbered(2, 3, 3), {"doubled": 1}),
        (unnumbered(2, 4, 3), {"disordered": 1}),
        (unnumbered(2, 3, 77), {"foreign": 1}),
    ],
)
def test_without_a_cursor_each_connection_is_checked_alone(entries: list[Entry], found: dict[str, int]) -> None:
    assert wrong(check_client(log(2, 3, 4, 5, 6), classic(*entries))) == found


def test_a_gap_before_all_rooms_were_joined_is_none() -> None:
    entries = [Connected(), Joined(TEAM), *unnumbered(2, 4), Joined(TABLE), *unnumbered(5, 6)]
    seen = History("ann", ANN, INTERESTS, start=1, continues=False, entries=entries)
    assert wrong(check_client(log(3, 5, 6, more=[change(2, TEAM), change(4, TEAM)]), seen)) == {}


def test_holes_of_the_log_are_found_and_a_new_epoch_is_none() -> None:
    assert log(2, 3, 5, 6).holes() == [3]
    assert log(2, 3, 1 << 40, (1 << 40) + 1).holes() == []


@pytest.mark.parametrize(
    ("bodies", "unwritten"), [([2], 0), ([], 1), ([2, 2], 1)], ids=["once in the log", "lost", "written twice"]
)
def test_an_acknowledged_write_is_in_the_log_exactly_once(bodies: list[int], unwritten: int) -> None:
    events = [
        Committed(place, "rows_created", frozenset([TABLE]), {"rows": [{"id": row, "field_1": "a-1"}]})
        for place, row in enumerate(bodies, 1)
    ]
    findings = check_writes(Log(events), [Fact("rows_created", "2", "a-1")])
    assert (findings.unwritten, findings.wrong) == (unwritten, unwritten)


def test_findings_add_up() -> None:
    total = Findings()
    for entries in (told(2, 4), told(2, 3, 3, 4)):
        total.add(check_client(log(2, 3, 4), history(*entries)))
    assert (total.committed, total.told, total.wrong, len(total.examples)) == (4, 6, 2, 2)
