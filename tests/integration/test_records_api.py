"""Records over HTTP: what is stored is what was sent, and what is refused leaves nothing behind."""

import asyncio
import json
import re
from typing import Any

import pytest

from tests.support.records import RunningEndpoint

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UNKNOWN = "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        "null", "true", "0", "-1.5", "1e+300", "123456789012345678901234567890", "-9223372036854775809",
        '""', '"\\u0000 \\" \\\\ ü 😀"', "[]", "{}", '[null,[1,{"a":[{}]}]]', '{"b":1,"a":{"":null}}', "0.1", "1.0",
    ],
)  # fmt: skip
async def test_post_and_get_keep_every_json_value(endpoint: RunningEndpoint, text: str) -> None:
    socket = await endpoint.listening()
    made = await endpoint.ok("POST", raw=text.encode())
    assert list(made) == ["uniqueId", "data", "createdAt", "updatedAt"]
    assert re.fullmatch("[0-9a-f]{32}", made["uniqueId"])
    assert TIME.fullmatch(made["createdAt"]) and made["createdAt"] == made["updatedAt"]
    assert repr(made["data"]) == repr(json.loads(text))
    one = await endpoint.ok("GET", uniqueId=made["uniqueId"])
    shown = [one, *await endpoint.ok("GET"), (await socket.next())["record"]]
    assert [repr(record) for record in shown] == [repr(made)] * 3
    assert repr(await endpoint.ok("GET", dataOnly="true")) == repr([made["data"]])


async def test_post_and_put_of_plain_text_store_a_string(endpoint: RunningEndpoint) -> None:
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    made = await endpoint.ok("POST", raw='{"grüße"}\n'.encode(), headers=headers)
    assert made["data"] == '{"grüße"}\n'
    changed = await endpoint.ok("PUT", raw=b"12", headers=headers, uniqueId=made["uniqueId"], strategy="replace")
    assert changed["data"] == "12"


async def test_get_all_or_by_unique_id_with_data_only_limit_and_offset(endpoint: RunningEndpoint) -> None:
    made = [await endpoint.ok("POST", number) for number in range(5)]
    ids = [record["uniqueId"] for record in made]
    assert await endpoint.ok("GET") == made
    assert await endpoint.ok("GET", uniqueId=ids[2]) == made[2]
    assert await endpoint.ok("GET", uniqueId=[ids[2], ids[2]]) == made[2]
    assert await endpoint.ok("GET", uniqueId=[ids[3], ids[1]]) == [made[1], made[3]]
    assert await endpoint.ok("GET", uniqueId=f"{ids[0]},{ids[4]}", dataOnly="true") == [0, 4]
    assert await endpoint.ok("GET", uniqueId=ids[4], dataOnly="true") == 4
    assert await endpoint.ok("GET", limit=2) == made[:2]
    assert await endpoint.ok("GET", limit=2, offset=3) == made[3:]
    assert await endpoint.ok("GET", offset=4, dataOnly="true") == [4]
    assert await endpoint.ok("GET", limit=0) == []
    assert await endpoint.ok("GET", limit=9, offset=3) == made[3:]
    assert await endpoint.ok("GET", limit=1, offset=5) == []


async def test_post_put_and_delete_with_data_only_tell_the_envelope(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    assert await endpoint.ok("POST", {"a": 1}, dataOnly="true") == {"a": 1}
    (made,) = await endpoint.ok("GET")
    unique_id = made["uniqueId"]
    assert await endpoint.ok("PUT", [2], dataOnly="true", uniqueId=unique_id) == [2]
    assert await endpoint.ok("DELETE", dataOnly="true", uniqueId=unique_id) == [2]
    told = [await socket.next() for _ in range(3)]
    assert [message["type"] for message in told] == ["POST", "PUT", "DELETE"]
    assert told[0]["record"] == made
    assert (
        told[1]["record"]
        == told[2]["record"]
        == made
        | {
            "data": [2],
            "updatedAt": told[1]["record"]["updatedAt"],
        }
    )


@pytest.mark.parametrize(
    ("strategy", "stored", "given", "result"),
    [
        ({}, {"a": 1}, [2], [2]),
        ({"strategy": "force"}, "text", None, None),
        ({"strategy": "merge"}, {"a": {"x": 1, "y": [1]}, "b": 1}, {"a": {"y": [2]}, "c": None},
         {"a": {"x": 1, "y": [2]}, "b": 1, "c": None}),
        ({"strategy": "merge"}, {"big": 2**70}, {"a": 2**80}, {"big": 2**70, "a": 2**80}),
        ({"strategy": "replace"}, 1, 2.5, 2.5),
        ({"strategy": "replace"}, {"a": 1}, {"b": 2}, {"b": 2}),
    ],
)  # fmt: skip
async def test_put_with_each_strategy(
    endpoint: RunningEndpoint, strategy: Any, stored: Any, given: Any, result: Any
) -> None:
    made = await endpoint.ok("POST", stored)
    changed = await endpoint.ok("PUT", given, uniqueId=made["uniqueId"], **strategy)
    assert changed == made | {"data": result, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] >= made["updatedAt"]
    assert await endpoint.ok("GET") == [changed]


async def test_delete_answers_and_tells_the_removed_record(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    made, kept = await endpoint.ok("POST", {"a": [1]}), await endpoint.ok("POST", 2)
    assert await endpoint.ok("DELETE", uniqueId=made["uniqueId"]) == made
    assert [await socket.next() for _ in range(3)] == [
        {"type": "POST", "record": made},
        {"type": "POST", "record": kept},
        {"type": "DELETE", "record": made},
    ]
    again = await endpoint.call("DELETE", uniqueId=made["uniqueId"])
    assert (again.status, again.body["error"]["message"]) == (400, "There is no such record.")
    assert await endpoint.ok("GET") == [kept] and socket.rest() == []


HTML = {"Content-Type": "text/html"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
TEXT = {"Content-Type": "text/plain"}
ID = "the record's id"
REFUSED: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "no key": (403, "GET", "The API key is missing.", {"key": None}),
    "empty key": (403, "POST", "The API key is missing.", {"key": ""}),
    "wrong key": (400, "POST", "The API key is invalid.", {"key": "0" * 32}),
    "odd key": (400, "GET", "The API key is invalid.", {"key": "ü\0"}),
    "no such endpoint": (400, "POST", "The endpoint is invalid.", {"name": "shop/parcels"}),
    "name with --": (400, "GET", "The endpoint is invalid.", {"name": "shop--orders"}),
    "name with NUL": (400, "GET", "The endpoint is invalid.", {"name": "shop/\0orders"}),
    "wrong master key": (400, "POST", "The master key is invalid.", {"masterKey": "0" * 64}),
    "empty body": (400, "POST", "The body is empty.", {"raw": b""}),
    "not JSON": (400, "POST", "JSON parse error", {"raw": b"{"}),
    "NaN": (400, "POST", "JSON parse error", {"raw": b"[NaN]"}),
    "lone surrogate": (400, "POST", "JSON parse error", {"raw": b'"\\ud800"'}),
    "too deep": (400, "POST", "JSON parse error", {"raw": b"[" * 65 + b"]" * 65}),
    "wrong type": (400, "POST", "The content type must be", {"raw": b"1", "headers": HTML}),
    "text not UTF-8": (400, "PUT", "The text must be UTF-8.", {"raw": b"\xff", "headers": TEXT, "uniqueId": ID}),
    "a file put": (400, "PUT", "The content type must be", {"raw": b"--x--", "headers": FORM, "uniqueId": ID}),
    "file of none": (400, "GET", "The record has no file.", {"fileOnly": "true", "uniqueId": ID}),
    "file of all": (400, "GET", "The parameter uniqueId is missing.", {"fileOnly": "true"}),
    "file of two": (400, "GET", "Only one record", {"fileOnly": "true", "uniqueId": [ID, UNKNOWN]}),
    "stream of no file": (400, "GET", "The parameter stream needs fileOnly", {"stream": "true", "uniqueId": ID}),
    "no such record": (400, "GET", "There is no such record.", {"uniqueId": UNKNOWN}),
    "one not there": (400, "GET", "There is no such record.", {"uniqueId": [ID, UNKNOWN]}),
    "empty id": (400, "GET", "There is no such record.", {"uniqueId": ""}),
    "odd id": (400, "PUT", "There is no such record.", {"uniqueId": "\0", "body": 1}),
    "PUT without id": (400, "PUT", "The parameter uniqueId is missing.", {"body": 1}),
    "DELETE without id": (400, "DELETE", "The parameter uniqueId is missing.", {}),
    "DELETE of two": (400, "DELETE", "Only one record", {"uniqueId": [ID, UNKNOWN]}),
    "unknown strategy": (400, "PUT", "The strategy must be", {"uniqueId": ID, "strategy": "add", "body": {}}),
    "merge of a list": (400, "PUT", "The strategy merge", {"uniqueId": ID, "strategy": "merge", "body": []}),
    "replace of a type": (400, "PUT", "The strategy replace", {"uniqueId": ID, "strategy": "replace", "body": 1}),
    "bad limit": (400, "GET", "The parameter limit must be a whole number.", {"limit": "-1"}),
    "bad offset": (400, "GET", "The parameter offset must be a whole number.", {"offset": "x"}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_request_stores_and_tells_nothing(endpoint: RunningEndpoint, case: str) -> None:
    status, method, words, request = REFUSED[case]
    made = await endpoint.ok("POST", {"a": 1})
    socket = await endpoint.listening()
    position = await endpoint.server.log_position()
    filled = {key: fill(value, made["uniqueId"]) for key, value in request.items()}
    answer = await endpoint.call(method, **filled)
    assert answer.status == status and list(answer.body) == ["error"]
    assert answer.body["error"]["code"] == status and answer.body["error"]["message"].startswith(words)
    assert await endpoint.server.log_position() == position
    removed = await endpoint.ok("DELETE", uniqueId=made["uniqueId"])
    assert removed == made and await endpoint.ok("GET") == []
    assert await socket.next() == {"type": "DELETE", "record": made}


def fill(value: Any, unique_id: str) -> Any:
    """The value with the record's id where it is meant."""
    return [fill(each, unique_id) for each in value] if isinstance(value, list) else unique_id if value is ID else value


async def test_a_record_belongs_to_its_endpoint(endpoint: RunningEndpoint) -> None:
    made = await endpoint.ok("POST", 1)
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    other = await endpoint.manage("POST", path, {"name": "shop/parcels"})
    for method in ("GET", "PUT", "DELETE"):
        answer = await endpoint.call(method, 2, name=other["name"], uniqueId=made["uniqueId"])
        assert (answer.status, answer.body["error"]["message"]) == (400, "There is no such record.")
    assert await endpoint.ok("GET") == [made]


async def test_concurrent_changes_of_one_record_are_all_kept(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    made = await endpoint.ok("POST", {})
    change = {"uniqueId": made["uniqueId"], "strategy": "merge"}
    await asyncio.gather(*(endpoint.ok("PUT", {f"key{number}": number}, **change) for number in range(20)))
    (record,) = await endpoint.ok("GET")
    assert record["data"] == {f"key{number}": number for number in range(20)}
    told = [await socket.next() for _ in range(21)]
    assert [len(message["record"]["data"]) for message in told] == list(range(21))
    assert told[-1]["record"] == record


async def test_large_answers_and_too_large_bodies(endpoint: RunningEndpoint) -> None:
    made = [await endpoint.ok("POST", "ü" * 300_000) for _ in range(4)]
    answer = await endpoint.call("GET")
    assert answer.body == made and int(answer.headers["Content-Length"]) > 2_400_000
    too_large = b'"' + b"x" * endpoint.server.settings.max_body_size + b'"'
    answer = await endpoint.call("POST", raw=too_large)
    assert (answer.status, answer.body["error"]["code"]) == (413, 413)


async def test_records_that_are_named_are_no_more_than_an_answer_may_have(
    endpoint: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are held in memory as a whole, and each may be as large as a body."""
    monkeypatch.setattr("server.actions.records.MAX_PAGE", 1000)
    one, two, three = [(await endpoint.ok("POST", "x" * 450))["uniqueId"] for _ in range(3)]
    assert len(await endpoint.ok("GET", uniqueId=[one, two])) == 2
    answer = await endpoint.call("GET", uniqueId=[one, two, three])
    told = {"code": 413, "message": "The answer is too large: name fewer records."}
    assert (answer.status, answer.body["error"]) == (413, told)
    large = (await endpoint.ok("POST", "x" * 1100))["uniqueId"]
    assert (await endpoint.ok("GET", uniqueId=large))["data"] == "x" * 1100


async def test_reads_say_from_where_events_follow(endpoint: RunningEndpoint) -> None:
    await endpoint.ok("POST", 1)
    position = await endpoint.server.log_position()
    assert (await endpoint.call("GET")).headers["Stream-Offset"] == str(position)
