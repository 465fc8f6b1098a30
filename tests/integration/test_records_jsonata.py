"""`jsonata=` on GET of records (contract records.md): what clients get, and what becomes of endless expressions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from server.actions.records import MAX_PAGE
from server.rest.context import SANDBOX
from server.sandbox.tasks import EXPRESSION
from tests.support.app import Server, running_server
from tests.support.boards import make_board
from tests.support.commands import serving
from tests.support.limits import watch_limits
from tests.support.processes import is_alive, wait_until
from tests.support.records import RunningEndpoint, running_endpoint

ORDERS = [
    {"name": "Ann", "price": 2, "tags": ["a"]},
    {"name": "Bob", "price": 3.5, "tags": []},
    {"name": "Cem", "price": 10, "tags": ["a", "b"], "note": None},
]
FOREVER = "($f := function() {$f()}; $f())"
TOO_LONG = "The evaluation took longer than 250 ms."
MEMORY = "The evaluation needed more than 128 MiB."


@pytest.fixture
async def endpoint(sqlite_url: str) -> AsyncIterator[RunningEndpoint]:
    """What workers do is the same on every database."""
    async with running_server(database_url=sqlite_url) as server:
        yield await filled(server)


async def filled(server: Server) -> RunningEndpoint:
    """An endpoint with the orders."""
    endpoint = await running_endpoint(server)
    for order in ORDERS:
        await endpoint.ok("POST", order)
    return endpoint


RESULTS: list[tuple[str, Any]] = [
    ("data.name", ["Ann", "Bob", "Cem"]),
    ("$sum(data.price)", 15.5),
    ("$[data.price > 3].data.name", ["Bob", "Cem"]),
    ("$[data.price > 5].data.name", "Cem"),  # JSONata makes a list of one its value; `[]` keeps it
    ("$[data.price > 5].data.name[]", ["Cem"]),
    ("$[data.price > 99]", None),  # matches nothing
    ("data.note", None),
    ("$count($)", 3),
    ("data{name: price}", {"Ann": 2, "Bob": 3.5, "Cem": 10}),
    ("$ ~> |data|{'price': price * 2}| ~> $map(function($r) {$r.data.price})", [4, 7, 20]),
    ("data.tags", ["a", "a", "b"]),
    ("'ü😀'", "ü😀"),
    ("$[0].uniqueId ~> $length()", 32),
    ("[]", []),
    ("$match('ab12', /[a-z]+([0-9]+)/).groups", ["12"]),
]


async def test_get_jsonata_is_applied_to_the_final_output(server: Server) -> None:
    endpoint = await filled(server)
    for expression, result in RESULTS:
        assert await endpoint.ok("GET", jsonata=expression) == result, expression
    everything = await endpoint.ok("GET")
    assert await endpoint.ok("GET", jsonata="$") == everything
    first, _, last = [record["uniqueId"] for record in everything]
    assert await endpoint.ok("GET", jsonata="name", dataOnly="true") == ["Ann", "Bob", "Cem"]
    assert await endpoint.ok("GET", jsonata="name", dataOnly="true", limit=1, offset=1) == "Bob"
    assert await endpoint.ok("GET", jsonata="$count($)", limit=0) == 0
    assert await endpoint.ok("GET", jsonata="data.name", uniqueId=first) == "Ann"
    assert await endpoint.ok("GET", jsonata="price", uniqueId=[first, last], dataOnly="true") == [2, 10]
    assert await endpoint.ok("GET") == everything
    headers = (await endpoint.call("GET", jsonata="1")).headers
    assert headers["Stream-Offset"] == str(await endpoint.server.log_position())
    assert headers["Content-Type"] == "application/json"


REFUSED: list[tuple[str, str]] = [
    ("", "The expression is empty."),
    (" \n", "The expression is empty."),
    ("data[", "JSONata S0203: Expected ]"),
    ("(", "JSONata S0203: Expected )"),
    ("$nope()", "JSONata T1006: Attempted to invoke a non-function"),
    ("1 + 'a'", "JSONata T2002: "),
    ("$error('of my own')", "JSONata D3137: of my own"),
    ("$error('\\ud800')", "JSONata D3137: ?"),
    ("1/0", "The expression cannot be evaluated: "),
    ("$sum", "The result of the expression is not JSON."),
    ("'\\ud800'", "The result of the expression is not JSON."),
    ("($f := function($n) {1 + $f($n)}; $f(1))", "The expression calls itself too often."),
    (FOREVER, TOO_LONG),
    ("$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a+)+$/)", TOO_LONG),
    ("[1..1000000].[1..1000000]", TOO_LONG),
    ("$pad('x', 200000000)", MEMORY),
    ("$pad('x', 5000000)", "The result is too large."),
]


async def test_jsonata_that_fails_or_overruns_is_refused_with_400(endpoint: RunningEndpoint) -> None:
    """One after the other on the same workers: each is as good as new for the next one."""
    met = watch_limits()
    for expression, words in REFUSED:
        answer = await endpoint.call("GET", jsonata=expression)
        assert (answer.status, list(answer.body)) == (400, ["error"]), (expression, answer)
        assert answer.body["error"]["code"] == 400
        assert answer.body["error"]["message"].startswith(words), (expression, answer)
        assert await endpoint.ok("GET", jsonata="$count($)") == 3
    assert met() == {"sandbox_time": 3, "sandbox_memory": 1}


async def test_jsonata_over_an_integer_that_is_no_float(
    endpoint: RunningEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Records keep every digit; whoever wrote so many does not fill the log of failures."""
    made = await endpoint.ok("POST", raw=b"1" * 400)
    answer = await endpoint.call("GET", jsonata="$", uniqueId=made["uniqueId"])
    told = {"code": 400, "message": "An integer in the data is larger than any float."}
    assert (answer.status, answer.body["error"], caplog.text) == (400, told, "")


async def test_jsonata_is_no_way_around_the_checks_of_the_endpoint(endpoint: RunningEndpoint) -> None:
    for status, query in ((403, {"key": None}), (400, {"key": "0" * 32}), (400, {"uniqueId": "0" * 32})):
        answer = await endpoint.call("GET", jsonata=FOREVER, **query)
        assert answer.status == status and not answer.body["error"]["message"].startswith("The evaluation")
    assert endpoint.server.app[SANDBOX].workers == 0


async def test_others_are_served_while_expressions_never_end(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    endless = [asyncio.create_task(endpoint.call("GET", jsonata=FOREVER)) for _ in range(4)]
    written = 0
    while not all(task.done() for task in endless):
        made = await endpoint.ok("POST", written)
        assert (await socket.next())["record"] == made
        written += 1
    assert written > 5
    assert {(await task).body["error"]["message"] for task in endless} == {TOO_LONG}
    page = (await endpoint.server.request("GET", "/metrics")).body
    assert 1 <= endpoint.server.app[SANDBOX].workers <= 3
    assert "roomcast_sandbox_workers" in page


async def test_fifty_expressions_at_once(endpoint: RunningEndpoint) -> None:
    answers = await asyncio.gather(*(endpoint.ok("GET", jsonata=f"$sum(data.price) + {n}") for n in range(50)))
    assert answers == [15.5 + number for number in range(50)]


async def test_endless_expressions_of_one_endpoint_delay_nobody_else(endpoint: RunningEndpoint) -> None:
    """Neither another endpoint's expressions nor the formatters and validators of a board, on either side."""
    board = await make_board(await endpoint.server.sign_up("Bob"))
    field, item, other = await board.field("Sum", "Amount"), await board.item(), await endpoint.another("shop/other")
    endless = [asyncio.create_task(endpoint.call("GET", jsonata=FOREVER)) for _ in range(14)]
    waiting = endpoint.server.app[SANDBOX].pools[EXPRESSION].turns.lines
    async with asyncio.timeout(10):
        while sum(map(len, waiting.values())) < 10:
            await asyncio.sleep(0.005)
    values = [{"field_id": field["id"], "value": "1 234,5"}]
    written = board.ann.ok("PUT", f"/items/{item['id']}/values", values)
    (value,), found = await asyncio.gather(written, other.ok("GET", jsonata="$count($)"))
    assert (value["value"], found) == ("1234.50", 0)
    assert sum(task.done() for task in endless) <= 7
    assert {(await task).status for task in endless} == {400}


async def test_more_data_than_an_expression_may_work_on(endpoint: RunningEndpoint) -> None:
    """4 MiB in and out; without an expression the same records are answered."""
    assert EXPRESSION.size < MAX_PAGE
    big = [(await endpoint.ok("POST", "x" * 1_500_000))["uniqueId"] for _ in range(3)]
    assert len(await endpoint.ok("GET", dataOnly="true")) == 6
    for query in ({}, {"uniqueId": big}, {"dataOnly": "true"}):
        answer = await endpoint.call("GET", jsonata="1", **query)
        told = {"code": 413, "message": "The answer is too large: use limit and offset."}
        assert (answer.status, answer.body["error"]) == (413, told)
    assert await endpoint.ok("GET", jsonata="$count($)", limit=5) == 5
    assert await endpoint.ok("GET", jsonata="$", limit=2, offset=3, dataOnly="true") == ["x" * 1_500_000] * 2


async def test_a_busy_server_says_so(endpoint: RunningEndpoint) -> None:
    endpoint.server.app[SANDBOX].pools[EXPRESSION].patience = 0.4
    answers = await asyncio.gather(*(endpoint.call("GET", jsonata=FOREVER) for _ in range(9)))
    assert {answer.status for answer in answers} == {400, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.body["error"] == {"code": 503, "message": "The server is busy. Come back later."}
    assert refused.headers["Retry-After"] == "1"
    assert await endpoint.ok("GET", jsonata="1") == 1


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_nothing_is_left_of_workers_when_the_server_ends(tmp_path: Path, how: str) -> None:
    """In production's event loop; one worker is within a call that never ends, one waits."""
    with serving(DATABASE_URL=f"sqlite:///{tmp_path}/a", SHUTDOWN_SPREAD="0") as (child, url):
        async with aiohttp.ClientSession() as http:
            endpoint = await running_endpoint(Server(None, url, http, None))  # type: ignore[arg-type]
            call = asyncio.create_task(endpoint.call("GET", jsonata=FOREVER))
            server = psutil.Process(child.pid)
            async with asyncio.timeout(10):
                while not (workers := server.children()) or max(w.cpu_times().user for w in workers) < 0.12:
                    await asyncio.sleep(0.005)
            for worker in workers:
                assert set(worker.environ()) <= {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH"}
            getattr(server, "terminate" if how == "SIGTERM" else "kill")()
            status = await asyncio.to_thread(child.wait)
            assert status == (0 if how == "SIGTERM" else -9)
            await asyncio.gather(call, return_exceptions=True)
        left = [worker.pid for worker in workers]
        if how == "SIGTERM":
            assert not any(map(is_alive, left))
        wait_until(lambda: not any(map(is_alive, left)), 5, "the workers end")
