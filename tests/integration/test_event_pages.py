"""Polling: `GET /api/events/` tells what streams were told, once and in order, to those who may hear it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from server.parts import STORE
from server.store import history, log
from tests.support.app import Answer, Person, RawSocket, Server
from tests.support.boards import make_board

NOT_THERE = 2**31 - 1


@dataclass
class Stage:
    """Ann's workspace with a table of two rows; Bob is a member, Zoe is not."""

    server: Server
    ann: Person
    bob: Person
    zoe: Person
    workspace: int
    table: int

    @property
    def rows(self) -> str:
        return f"/api/database/rows/table/{self.table}/"

    async def poll(self, *rooms: str, after: Any = None, by: Person | None = None, limit: int | None = None) -> Answer:
        given = [("room", room) for room in rooms]
        given += [(name, str(value)) for name, value in (("after", after), ("limit", limit)) if value is not None]
        return await (by or self.ann).request("GET", "/api/events/", params=given)

    async def page(self, *rooms: str, **how: Any) -> dict[str, Any]:
        answer = await self.poll(*rooms, **how)
        assert answer.status == 200, answer
        assert list(answer.body) == ["events", "position", "refresh"]
        assert answer.headers["Stream-Offset"] == str(answer.body["position"])
        return dict(answer.body)

    async def follow(self, *rooms: str, after: int, limit: int) -> list[dict[str, Any]]:
        """All pages up to the end."""
        events: list[dict[str, Any]] = []
        while True:
            page = await self.page(*rooms, after=after, limit=limit)
            assert not page["refresh"] and len(page["events"]) <= limit and page["position"] >= after
            events += page["events"]
            if not page["events"]:
                assert page["position"] == await self.server.log_position()
                return events
            after = page["position"]


@pytest.fixture
async def stage(server: Server) -> Stage:
    ann, bob, zoe = [await server.sign_up(name) for name in ("Ann", "Bob", "Zoe")]
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    return Stage(server, ann, bob, zoe, workspace, await ann.table(await ann.database(workspace)))


@pytest.fixture
async def listening(stage: Stage) -> AsyncIterator[RawSocket]:
    """A socket on the table page, to compare with."""
    socket = await stage.bob.core_socket()
    await socket.subscribe("table", table_id=stage.table)
    yield socket


async def change(stage: Stage, count: int) -> None:
    """Makes rows and renames the workspace in turns."""
    for number in range(count):
        await stage.ann.ok("POST", stage.rows, {})
        await stage.ann.ok("PATCH", f"/api/workspaces/{stage.workspace}/", {"name": f"Team {number}"})


@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_paging_tells_what_a_socket_was_told(stage: Stage, listening: RawSocket, limit: int) -> None:
    rooms = (f"table:{stage.table}", f"workspace:{stage.workspace}")
    begin = (await stage.page(*rooms))["position"]
    await change(stage, 4)
    events = await stage.follow(*rooms, after=begin, limit=limit)
    await listening.until(lambda: len(listening.messages) >= len(events))
    assert [event["data"] for event in events] == listening.rest()
    assert [event["type"] for event in events] == ["rows_created", "group_updated"] * 4
    assert all(event["type"] == event["data"]["type"] for event in events)
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids)) and ids[0] > begin
    assert await stage.follow(rooms[0], rooms[0], after=begin, limit=limit) == events[::2]


async def test_a_page_ends_with_its_last_event_or_the_end_of_the_log(stage: Stage) -> None:
    room = f"table:{stage.table}"
    begin = (await stage.page(room))["position"]
    await change(stage, 2)
    full = await stage.page(room, after=begin, limit=1)
    assert full["position"] == full["events"][-1]["id"]
    rest = await stage.page(room, after=full["position"], limit=2)
    assert len(rest["events"]) == 1 and rest["position"] == await stage.server.log_position()
    assert (await stage.page(room, after=rest["position"])) == {**rest, "events": []}


async def test_large_events_make_short_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 1)
    begin = await stage.server.log_position()
    await change(stage, 3)
    page = await stage.page(f"table:{stage.table}", after=begin)
    assert len(page["events"]) == 1 and page["position"] == page["events"][0]["id"]
    assert len(await stage.follow(f"table:{stage.table}", after=begin, limit=200)) == 3


async def test_an_event_in_two_rooms_is_told_once(stage: Stage) -> None:
    second = await stage.ann.workspace()
    begin = await stage.server.log_position()
    await stage.ann.ok("PATCH", "/api/user/account/", {"first_name": "Anna"})
    page = await stage.page(f"workspace:{stage.workspace}", f"workspace:{second}", after=begin)
    assert [event["type"] for event in page["events"]] == ["user_updated"]


async def test_rooms_of_all_kinds_in_one_order(stage: Stage) -> None:
    board = await make_board(stage.ann)
    rooms = (f"row:{stage.table}:1", f"items:{board.uuid}", f"workspace:{stage.workspace}", f"table:{stage.table}")
    begin = await stage.server.log_position()
    item = await board.item()
    await stage.ann.ok("PATCH", f"{stage.rows}1/?user_field_names=true", {"Name": "x"})
    await stage.ann.ok("PATCH", f"{stage.rows}2/?user_field_names=true", {"Name": "y"})
    await stage.ann.ok("DELETE", f"/items/{item['id']}")
    events = (await stage.page(*rooms, after=begin))["events"]
    kinds = [event["type"] for event in events if not event["type"].startswith("before_")]
    assert kinds == ["item-updated", "column-patched", "rows_updated", "row_history_updated", "rows_updated",
                     "item-removed", "column-patched"]  # fmt: skip
    assert [event["data"] for event in events if event["type"] == "item-removed"] == [item["id"]]
    assert (await stage.page(f"items:{board.workspace}", after=begin))["events"] == [
        event for event in events if "-" in event["type"]
    ]


async def test_the_callers_own_changes_are_told_too(stage: Stage) -> None:
    socket = await stage.ann.core_socket()
    begin = await stage.server.log_position()
    await stage.ann.ok("POST", stage.rows, {}, socket=socket)
    assert [event["type"] for event in (await stage.page(f"table:{stage.table}", after=begin))["events"]] == [
        "rows_created"
    ]


async def test_a_position_that_is_none_is_answered_with_a_refresh(stage: Stage) -> None:
    position = await stage.server.log_position()
    for after in ("0", "", "-1", "x", "1.5", "٣", position + 1, "9" * 18, "9" * 30):
        page = await stage.page(f"table:{stage.table}", after=after)
        assert page == {"events": [], "position": position, "refresh": True}, after


async def test_a_position_that_was_pruned_is_answered_with_a_refresh(stage: Stage) -> None:
    room = f"table:{stage.table}"
    begin = await stage.server.log_position()
    await change(stage, 2)
    prune = f"DELETE FROM event WHERE id <= {begin + 1}"
    await stage.server.app[STORE].write(lambda tx: tx.db.execute_sql(prune))
    page = await stage.page(room, after=begin)
    assert page == {"events": [], "position": await stage.server.log_position(), "refresh": True}
    assert len((await stage.page(room, after=begin + 1))["events"]) == 1
    assert (await stage.page(room, after=page["position"]))["refresh"] is False


async def test_without_a_position_it_says_where_the_log_ends(stage: Stage) -> None:
    page = await stage.page(f"table:{stage.table}")
    assert page == {"events": [], "position": await stage.server.log_position(), "refresh": False}


async def test_nothing_from_the_time_without_membership(stage: Stage) -> None:
    room, name = f"workspace:{stage.workspace}", "between"
    before = await stage.server.log_position()
    members = await stage.ann.ok("GET", f"/api/workspaces/users/workspace/{stage.workspace}/")
    (member,) = [each["id"] for each in members if each["user_id"] == stage.bob.id]
    await stage.ann.ok("DELETE", f"/api/workspaces/users/{member}/")
    refused = await stage.poll(room, after=before, by=stage.bob)
    assert (refused.status, refused.body["error"]) == (400, "ERROR_USER_NOT_IN_GROUP")
    await stage.ann.ok("PATCH", f"/api/workspaces/{stage.workspace}/", {"name": name})
    between = await stage.server.log_position()
    await stage.ann.ok("POST", stage.rows, {})
    await stage.ann.invite(stage.bob, stage.workspace)
    for rooms in ((room,), (f"table:{stage.table}",), (f"items:{stage.workspace}",)):
        for after in (before, between):
            page = await stage.page(*rooms, after=after, by=stage.bob)
            assert (page["events"], page["refresh"]) == ([], True)
    await stage.ann.ok("POST", stage.rows, {})
    events = (await stage.page(room, f"table:{stage.table}", after=page["position"], by=stage.bob))["events"]
    assert [event["type"] for event in events] == ["rows_created"]
    mine = (await stage.page(room, after=before))["events"]
    assert "group_updated" in [event["type"] for event in mine]


async def test_the_page_goes_on_from_where_a_membership_began(stage: Stage) -> None:
    """The position of a membership's beginning still continues: what was told after it is all there."""
    query = "SELECT began FROM membership WHERE user_id = {} AND workspace_id = {}".format
    sql = query(stage.bob.id, stage.workspace)
    (began,) = await stage.server.app[STORE].read(lambda tx: tx.db.execute_sql(sql).fetchone())
    room = f"workspace:{stage.workspace}"
    assert (await stage.page(room, after=began - 1, by=stage.bob))["refresh"] is True
    page = await stage.page(room, after=began, by=stage.bob)
    told = await stage.server.app[STORE].read(lambda tx: log.read_rooms(tx.db, {f"core:{room}": began}, 100))
    assert page["refresh"] is False and [event["id"] for event in page["events"]] == [event.id for event in told]


OUTSIDER = (400, "ERROR_USER_NOT_IN_GROUP")


async def test_what_is_not_for_the_caller_is_refused(stage: Stage) -> None:
    row, board = f"row:{stage.table}:1", await make_board(stage.ann)
    for room in (f"workspace:{stage.workspace}", f"table:{stage.table}", row, f"items:{stage.workspace}",
                 f"items:{board.uuid}"):  # fmt: skip
        answer = await stage.poll(room, after=1, by=stage.zoe)
        assert (answer.status, answer.body["error"], answer.body["detail"]) == (*OUTSIDER, room)
        assert "Stream-Offset" not in answer.headers
    own = await stage.zoe.workspace()
    mixed = await stage.poll(f"workspace:{own}", f"table:{stage.table}", after=1, by=stage.zoe)
    assert (mixed.status, mixed.body["error"]) == OUTSIDER


async def test_what_is_not_there_is_refused_as_rest_refuses_it(stage: Stage) -> None:
    expected = {
        f"workspace:{NOT_THERE}": "ERROR_GROUP_DOES_NOT_EXIST",
        "workspace:0": "ERROR_GROUP_DOES_NOT_EXIST",
        "table:9999999999": "ERROR_TABLE_DOES_NOT_EXIST",
        f"row:{NOT_THERE}:1": "ERROR_TABLE_DOES_NOT_EXIST",
        f"row:{stage.table}:77": "ERROR_ROW_DOES_NOT_EXIST",
        "items:77": "ERROR_NOT_FOUND",
        "items:00000000-0000-0000-0000-000000000000": "ERROR_NOT_FOUND",
        "items:------------------------------------": "ERROR_NOT_FOUND",
    }
    answers = {room: await stage.poll(room, after=1) for room in expected}
    assert {room: answer.body["error"] for room, answer in answers.items()} == expected
    assert all(answer.status == 404 and answer.body["detail"].startswith(room) for room, answer in answers.items())
    await stage.ann.ok("DELETE", f"/api/database/tables/{stage.table}/")
    assert (await stage.poll(f"table:{stage.table}")).status == 404


async def test_what_is_no_name_is_refused(stage: Stage) -> None:
    names = ["", "table", "table:", "table:x", "table:1:2", "row:1", "user:1", "core:table:1", "control", "items:x",
             "table:-1", " table:1", "table:99999999999", "table:٣", "ce:endpoint:1"]  # fmt: skip
    answer = await stage.poll(f"table:{stage.table}", *names)
    assert (answer.status, answer.body["error"]) == (400, "ERROR_QUERY_PARAMETER_VALIDATION")
    assert list(answer.body["detail"]["room"]) == [str(place) for place in range(1, len(names) + 1)]


async def test_parameters_outside_their_limits_are_refused(stage: Stage) -> None:
    room = f"table:{stage.table}"
    for rooms, limit, field in [
        ((), None, "room"),
        ((room,) * 201, None, "room"),
        ((room,), 0, "limit"),
        ((room,), 1001, "limit"),
    ]:
        answer = await stage.poll(*rooms, limit=limit)
        assert (answer.status, list(answer.body["detail"])) == (400, [field])
    assert (await stage.poll(*(room,) * 200, limit=1000)).status == 200
    nobody = await stage.server.request("GET", "/api/events/", params=[("room", "nonsense")])
    bad = await stage.server.request("GET", "/api/events/", headers={"Authorization": "JWT nonsense"})
    assert (nobody.status, bad.status) == (400, 401)
