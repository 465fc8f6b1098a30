"""Logs: no credential in any line, the request's id in every line."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator

import jwt
import pytest
from aiohttp.http_exceptions import BadHttpMessage

from server import logs

TOKEN = jwt.encode({"user_id": 1}, "a-key-that-is-long-enough-for-hs256-x")
PLAIN = "s3cr3t-0123456789abcdef"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything that the process logs as JSON lines; afterwards logging is as it was."""
    root, hook = logging.getLogger(), sys.excepthook
    names = ["", *logs.CHATTY]
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).level) for name in names}
    captured = io.StringIO()
    logs.configure("json", "DEBUG", captured)
    yield captured
    logging.captureWarnings(False)
    logging.getLogger("aiohttp.server").filters = []
    sys.excepthook = hook
    for name, (handlers, level) in before.items():
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).setLevel(level)
    assert root.handlers == before[""][0]


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "name", ["jwt_token", "token", "access_token", "accessToken", "client_secret", "key", "masterKey", "pid"]
)
@pytest.mark.parametrize(
    "text",
    [
        "GET /ws/core/?{name}={secret} HTTP/1.1",
        "GET /api/1/ce/a?since=3&{name}={secret}&uniqueId=4",
        "query {name}={secret}",
        "'{name}={secret}'",
        '40/core,{{"{name}":"{secret}"}}',
        '{{"auth": "{{\\"{name}\\": \\"{secret}\\"}}"}}',
        "{{'{name}': '{secret}'}}",
        "{{'a': 1, '{name}': b'{secret}'}}",
        "ValueError: bad ('{name}', '{secret}')",
        "https://example.com/#{name}={secret}",
    ],
)
def test_named_secrets_are_redacted(name: str, text: str) -> None:
    for spelling in (name, name.upper()):
        shown = logs.redact(text.format(name=spelling, secret=PLAIN))
        assert PLAIN not in shown
        assert logs.REDACTED in shown
        assert spelling in shown


@pytest.mark.parametrize("name", ["%6bey", "jwt%5ftoken", "ke%79", "%256bey", "jwt%5Ftoken"])
def test_a_name_that_is_percent_encoded_is_known(name: str) -> None:
    assert PLAIN not in logs.redact(f"GET /ws/core/?a=1&{name}={PLAIN}")


@pytest.mark.parametrize(
    "text",
    [
        f"something went wrong with {TOKEN}",
        f"Authorization: JWT {TOKEN}",
        f"{{'Authorization': 'Bearer {PLAIN}'}}",
        f"authorization: {PLAIN}",
        f"Cookie: access_token={PLAIN}; a=b",
        f"x-master-key: {PLAIN}",
        f"postgres://ann:{PLAIN}@db/app cannot be reached",
        f"rediss://:{PLAIN}@cache:6380/0",
    ],
)
def test_credentials_without_a_parameter_name_are_redacted(text: str) -> None:
    shown = logs.redact(text)
    assert PLAIN not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/database/rows/table/5/?page=2&search=key&order_by=-field_1 200 3.2 ms",
        "monkey=banana&turnkey=1&tokens=3",
        '{"type":"rows_created","table_id":5,"rows":[{"id":1,"field_1":"the key is under the mat"}]}',
        "postgres://db.example.com:5432/app is up to date",
        "http://127.0.0.1:8000/healthz",
        "key error: 'field_1'",
    ],
)
def test_the_rest_stays_as_it_is(text: str) -> None:
    assert logs.redact(text) == text


def test_exception_texts_and_stacks_are_redacted(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot read /ws/core/?jwt_token={PLAIN}")
    except ValueError:
        logging.getLogger("server.rest.failures").exception("GET %s failed", f"/x?key={PLAIN}", stack_info=True)
    (line,) = lines(stream)
    assert PLAIN not in json.dumps(line)
    assert "ValueError: cannot read /ws/core/?jwt_token=[redacted]" in str(line["exception"])
    assert "stack_info=True" in str(line["stack"])


def test_extra_fields_are_redacted(stream: io.StringIO) -> None:
    logging.getLogger("x").info(
        "hello", extra={"path": f"/?key={PLAIN}", "token": PLAIN, "seen": [{"pid": PLAIN}], "ms": 1.5, "ok": True}
    )
    (line,) = lines(stream)
    assert PLAIN not in json.dumps(line)
    assert line["ms"] == 1.5
    assert line["ok"] is True


@pytest.mark.parametrize("name", ["aiohttp.access", "aiohttp.server", "engineio.server", "socketio.server", "asyncio"])
def test_loggers_of_the_libraries_go_the_same_way(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).error("Received packet MESSAGE data %s", f'0/core,{{"token":"{PLAIN}"}}')
    (line,) = lines(stream)
    assert line["logger"] == name
    assert PLAIN not in json.dumps(line)


def test_libraries_add_no_handler_of_their_own(stream: io.StringIO) -> None:
    import engineio
    import socketio

    socketio.AsyncServer(async_mode="aiohttp")
    engineio.AsyncServer(async_mode="aiohttp")
    for name in logs.CHATTY:
        assert logging.getLogger(name).handlers == []


def test_what_nobody_caught_is_redacted(stream: io.StringIO) -> None:
    try:
        raise RuntimeError(f"?pid={PLAIN}")
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    (line,) = lines(stream)
    assert line["level"] == "CRITICAL"
    assert PLAIN not in json.dumps(line)


def test_the_console_format_is_redacted_and_names_the_request() -> None:
    captured = io.StringIO()
    handler = logging.StreamHandler(captured)
    handler.addFilter(logs.RequestId())
    handler.setFormatter(logs.ConsoleFormatter())
    token = logs.REQUEST_ID.set("request-1")
    handler.handle(logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": f"/?key={PLAIN}"}))
    logs.REQUEST_ID.reset(token)
    assert captured.getvalue().endswith("INFO    x /?key=[redacted] [request-1]\n")


def test_every_record_of_a_request_has_its_id(stream: io.StringIO) -> None:
    token = logs.REQUEST_ID.set("request-1")
    logging.getLogger("a").info("inside")
    logs.REQUEST_ID.reset(token)
    logging.getLogger("a").info("outside")
    inside, outside = lines(stream)
    assert inside["request_id"] == "request-1"
    assert "request_id" not in outside


@pytest.mark.parametrize("offered", ["6b1f2c34-9a7d-4d27-b5a9-fc29b9a7e7f1", "a.b_c:d-12345", "x" * 128])
def test_a_sane_request_id_is_taken(offered: str) -> None:
    assert logs.request_id(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "short", "x" * 129, "with space 123", "a\nb-12345678", "é" * 10, TOKEN])
def test_any_other_is_replaced(offered: str | None) -> None:
    made = logs.request_id(offered)
    assert made != offered
    assert logs.SANE_ID.fullmatch(made)
    assert made != logs.request_id(offered)


def test_what_is_no_http_leaves_one_line_and_no_stack(stream: io.StringIO) -> None:
    try:
        raise BadHttpMessage("Invalid header token")
    except BadHttpMessage:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
    (line,) = lines(stream)
    assert (line["level"], line["message"]) == ("INFO", "Error handling request from 127.0.0.1")
    assert line.keys().isdisjoint({"exception", "exc_info", "stack"})


def test_forked_processes_name_their_requests_apart() -> None:
    reader, writer = os.pipe()
    for _ in range(2):
        if not (pid := os.fork()):
            os.write(writer, logs.request_id(None).encode())
            os._exit(0)
        os.waitpid(pid, 0)
    names = os.read(reader, 1 << 10).decode()
    assert len({names[:32], names[32:], logs.request_id(None)}) == 3 and len(names) == 64
    os.close(reader)
    os.close(writer)
