"""Many requests at once, drawn by chance from a seed: whatever came of each, what was told makes the state that is
read, and a cursor brings the same again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from server.parts import RELAY
from tests.support.app import Answer, Server
from tests.support.boards import Board, Ears, Heard
from tests.support.record_users import Club, RecordPerson, make_club
from tests.support.records_client import records_clients

ROUNDS, AT_ONCE = 4, 25
Request = tuple[str, str, Any]


async def storm(send: Callable[[int], Awaitable[Answer]]) -> None:
    """Sends numbered requests, many at once; none of them may fail for a reason of the server's."""
    for number in range(0, ROUNDS * AT_ONCE, AT_ONCE):
        answers = await asyncio.gather(*map(send, range(number, number + AT_ONCE)))
        assert [each for each in answers if each.status >= 500] == []


async def test_what_is_told_of_items_makes_the_board(server: Server, board: Board, ears: Ears) -> None:
    chance, start = random.Random(6), await board.position()
    fields = [(await board.field(f"Field {number}"))["id"] for number in range(3)]
    ids = [(await board.item())["id"] for _ in range(6)]

    async def send(number: int) -> Answer:
        answer = await board.ann.request(*change(chance, board, fields, ids, number))
        if answer.status == 201 and "column_id" in answer.body:
            ids.append(answer.body["id"])
        return answer

    await storm(send)
    told = await ears.rest()
    items, counts = made_by(told)
    there = await board.ann.ok("GET", "/items?limit=200")
    assert items == {item["id"]: item for item in there}
    assert counts == {column: sum(item["column_id"] == column for item in there) for column in counts}
    replay = await server.websocket(f"/ws/events/?jwt_token={board.ann.token}")
    await replay.expect("authentication")
    await replay.send({"select-workspace": board.workspace, "since": start})
    await replay.until(lambda: replay.messages[-1]["type"] == "workspace-selected")
    assert [(message["type"], message["data"]) for message in replay.rest()[:-1]] == told


def change(chance: random.Random, board: Board, fields: list[str], ids: list[str], number: int) -> Request:
    """Something that somebody may do on a board."""
    item = f"/items/{chance.choice(ids)}"
    value = {"field_id": chance.choice(fields), "value": chance.choice([None, f" {number} "])}
    return chance.choice(
        [
            ("POST", "/items", {"column_id": chance.choice(board.columns), "name": "New"}),
            ("PATCH", item, {"column_id": chance.choice(board.columns)}),
            ("PATCH", item, {"name": f"Name {number}"}),
            ("PATCH", item, {"locked_by_user_id": chance.choice([None, board.ann.id])}),
            ("PUT", f"{item}/values", [value]),
            ("PUT", f"{item}/values", [value]),
            ("POST", f"{item}/comments", {"text": "Look"}),
            ("POST", f"{item}/finalize", {}) if number % 3 else ("GET", item, None),
            ("DELETE", item, None) if number % 3 else ("PATCH", f"/fields/{fields[0]}", {"required": number % 2 == 0}),
        ]
    )


def made_by(told: list[Heard]) -> tuple[dict[str, Any], dict[str, int]]:
    """The items that are there after what was told, and the last count of each column."""
    items, counts = {}, {}
    for name, argument in told:
        if name == "item-updated":
            items[argument["id"]] = argument
        elif name == "item-removed":
            del items[argument]
        else:
            counts[argument["id"]] = argument["subscribed_items"]
    return items, counts


async def test_what_is_told_of_records_makes_what_each_user_sees(server: Server) -> None:
    """Users without the READ flag, who write, are renamed and reach for each other's records."""
    club, chance = await make_club(server, access={"update": True}), random.Random(3)
    people, start = [await club.join(name) for name in ("ann", "bob", "cem")], await server.log_position()
    ids: list[str] = []

    async def send(number: int) -> Answer:
        answer = await act(chance, club, chance.choice(people), ids, number)
        if answer.status == 200 and "uniqueId" in answer.body:
            ids.append(answer.body["uniqueId"])
        return answer

    async with records_clients(server.url) as connect:
        clients, sockets = [await connect() for _ in people], [await each.listening(club.vault) for each in people]
        for client, person in zip(clients, people, strict=True):
            assert (await client.subscribe(club.vault, accessToken=person.token))["ok"]
        await storm(send)
        await server.app[RELAY].reached(await server.log_position())
        for person, client, socket in zip(people, clients, sockets, strict=True):
            told = [{"type": each["type"], "record": each["record"]} for _, each in await client.rest()]
            await socket.until(lambda told=told, socket=socket: len(socket.messages) >= len(told))
            assert socket.messages == told
            assert made_of(told) == await person.ok(club.vault, "GET")
            replay = await person.listening(club.vault, since=start)
            await replay.until(lambda told=told, replay=replay: len(replay.messages) >= len(told))
            assert replay.messages == told


async def act(chance: random.Random, club: Club, who: RecordPerson, ids: list[str], number: int) -> Answer:
    """Something that a user may try."""
    kind = chance.randrange(5) if ids else 0
    if kind == 0:
        return await who.call(club.vault, "POST", {"number": number})
    if kind == 1:
        return await who.call(club.people, "PUT", {"username": chance.choice(["ann", "bob", "cem", "dan"])})
    if kind == 2:
        return await who.call(club.vault, "DELETE", uniqueId=chance.choice(ids))
    strategy = chance.choice(["force", "merge", "replace"])
    return await who.call(club.vault, "PUT", {str(number): 1}, uniqueId=chance.choice(ids), strategy=strategy)


def made_of(told: list[Any]) -> list[Any]:
    """The records that are there after what was told, oldest first."""
    records: dict[str, Any] = {}
    for message in told:
        if message["type"] == "DELETE":
            del records[message["record"]["uniqueId"]]
        else:
            records[message["record"]["uniqueId"]] = message["record"]
    return list(records.values())
