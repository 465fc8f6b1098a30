"""Reading many rows: pages and their links, searching, sorting, choosing fields, neighbours and names."""

from typing import Any
from urllib.parse import quote

from tests.support.app import Server
from tests.support.scenario import Stage, Step
from tests.support.stages import table_stage

ROWS = "/api/database/rows/table/{table}/"
NAMED = "?user_field_names=true"


async def filled_stage(server: Server) -> Stage:
    """The table with three rows more."""
    stage = await table_stage(server)
    items: list[dict[str, Any]] = [
        {"Name": "Älpha one", "Num": "-2.5", "When": "2026-01-02"},
        {"Name": "beta 50% off_", "Num": 10, "Done": True},
        {"Name": "Beta one", "Num": "9.75", "When": "2025-12-31"},
    ]
    await stage.people["ann"].ok("POST", stage.resolve(f"{ROWS}batch/{NAMED}"), {"items": items})
    await stage.heard()
    return stage


async def test_pages_link_to_their_neighbours(server: Server) -> None:
    stage = await filled_stage(server)
    address = server.url + ROWS

    def page(query: str, ids: list[int], after: str | None, before: str | None, count: int = 6) -> Step:
        links = [None if link is None else address + link for link in (after, before)]
        answer = {"count": count, "next": links[0], "previous": links[1], "results": [{"id": each} for each in ids]}
        return Step(query, "bob", f"GET {ROWS}{query}", answer=answer)

    every = [1, 2, 3, 4, 5, 6]
    await stage.play(
        page("", every, None, None),
        page("?size=2", [1, 2], "?page=2&size=2", None),
        page("?size=2&page=2", [3, 4], "?page=3&size=2", "?size=2"),
        page("?size=2&page=3", [5, 6], None, "?page=2&size=2"),
        page("?page=7", [], None, "?page=6"),
        page("?page=2", [], None, ""),
        page("?page=0", every, None, None),
        page("?page=x&size=0", every, None, None),
        page(f"{NAMED}&order_by=-Num&size=2", [5, 6], "?order_by=-Num&page=2&size=2&user_field_names=true", None),
        page("?include=field_{name},x&size=5", every[:5], "?include=field_{name}%2Cx&page=2&size=5", None),
        page("?view_id=7&filter_type=AND&nothing=1&nothing=2&size=5", every[:5],
             "?filter_type=AND&nothing=1&nothing=2&page=2&size=5&view_id=7", None),
        Step("too large", "bob", f"GET {ROWS}?size=201", status=400,
             answer={"error": "ERROR_PAGE_SIZE_LIMIT", "detail": "The page size is limited to 200."}),
    )  # fmt: skip


async def test_searching_and_sorting(server: Server) -> None:
    stage = await filled_stage(server)

    async def found(query: str) -> list[int]:
        answer = await stage.people["bob"].ok("GET", stage.resolve(f"{ROWS}{query}"))
        assert answer["count"] == len(answer["results"])
        return [row["id"] for row in answer["results"]]

    for search, ids, compat in (
        ("beta", [5, 6], [5, 6]),
        ("one BETA", [6], []),
        ("beta one", [6], [6]),
        ("älpha", [4], [4]),
        ("50%", [5], [5]),
        ("f_", [5], [5]),
        ("_ff", [], []),
        ("\\", [], []),
        ("-2.5", [4], [4]),
        ("9.75", [6], [6]),
        ("2026-01", [4], [4]),
        ("2", [2, 4, 6], [2, 4, 6]),
        ("true", [], []),
        ("\0", [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]),
    ):
        assert await found(f"?search={quote(search)}") == ids, search
        assert await found(f"?search={quote(search)}&search_mode=compat") == compat, search
    for order_by, ids in (
        ("Num", [1, 2, 3, 4, 6, 5]),
        ("-Num", [5, 6, 4, 1, 2, 3]),
        ("Name", [5, 6, 1, 2, 3, 4]),
        ("-Name", [4, 3, 2, 1, 6, 5]),
        ("-When", [4, 6, 1, 2, 3, 5]),
        ("-Done,-Num", [5, 6, 4, 1, 2, 3]),
        ('"Done",+Num', [1, 2, 3, 4, 6, 5]),
    ):
        assert await found(f"{NAMED}&order_by={quote(order_by)}") == ids, order_by
    assert await found("?order_by=-field_{num}") == await found("?order_by=-{num}") == [5, 6, 4, 1, 2, 3]


async def test_choosing_fields(server: Server) -> None:
    stage = await filled_stage(server)

    async def keys(query: str) -> list[str]:
        answer = await stage.people["bob"].ok("GET", stage.resolve(f"{ROWS}{query}&size=1"))
        return list(answer["results"][0])

    every = ["id", "order", "Name", "Num", "Done", "When"]
    assert await keys(f"{NAMED}&include=Name,Num") == every[:4]
    assert await keys(f"{NAMED}&exclude=Name,Nope") == ["id", "order", "Num", "Done", "When"]
    assert await keys(f"{NAMED}&include=Nope") == every
    assert await keys(f"{NAMED}&include=Name,Num&exclude=Num") == every[:3]
    only = ["id", "order", f"field_{stage.names['num']}"]
    assert await keys("?include=field_{num}") == await keys("?user_field_names=false&include={num}") == only
    await stage.play(
        Step("unknown", "bob", f"GET {ROWS}?order_by=nope", status=400,
             answer={"error": "ERROR_ORDER_BY_FIELD_NOT_FOUND",
                     "detail": "The field nope was not found in the table."}),
        Step("not shown", "bob", f"GET {ROWS}{NAMED}&include=Name&order_by=Num", status=400,
             answer={"error": "ERROR_ORDER_BY_FIELD_NOT_FOUND"}),
    )  # fmt: skip


async def test_neighbours_and_names(server: Server) -> None:
    stage = await filled_stage(server)
    await stage.people["ann"].ok("POST", stage.resolve(ROWS), {})
    await stage.heard()
    names = "GET /api/database/rows/names/?table__{table}"
    await stage.play(
        Step("next", "bob", f"GET {ROWS}2/adjacent/{NAMED}", answer={"id": 3, "Name": "r3"}),
        Step("previous", "bob", f"GET {ROWS}2/adjacent/?previous=true", answer={"id": 1}),
        Step("next of those found", "bob", f"GET {ROWS}2/adjacent/?search=beta", answer={"id": 5}),
        Step("no previous", "bob", f"GET {ROWS}1/adjacent/?previous=true", status=204, answer=None),
        Step("unknown", "bob", f"GET {ROWS}99/adjacent/", status=404, answer={"error": "ERROR_ROW_DOES_NOT_EXIST"}),
        Step("names", "bob", f"{names}=1,6,7", answer={"{table}": {"1": "r1", "6": "Beta one", "7": "unnamed row 7"}}),
        Step("of nothing", "bob", f"{names}=99", answer={"{table}": {}}),
        Step("without ids", "bob", f"{names}=", status=400, answer={"error": "ERROR_QUERY_PARAMETER_VALIDATION"}),
        Step("of an unknown table", "bob", "GET /api/database/rows/names/?table__999999=1", status=404,
             answer={"error": "ERROR_TABLE_DOES_NOT_EXIST"}),
    )  # fmt: skip
