"""Logging: console or JSON lines, the id of the request in every line, no credential in any.

Invariants: `configure` is the only place that adds a handler; whatever goes through it (message, exception text,
stack, extra fields; our loggers and those of aiohttp, Engine.IO and Socket.IO alike) is redacted by its formatter, the
last step before the line is written. Names whose values are redacted: `SECRETS`, in any spelling and in query strings,
JSON, Python literals and headers; anything that looks like a JSON Web Token; passwords in URLs.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import unquote_plus

import orjson
from aiohttp.http_exceptions import HttpProcessingError

from server.dice import DICE

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the running task serves; empty outside of one."""
REQUEST_ID_HEADER = "X-Request-Id"

SECRETS = frozenset(
    {
        "jwt_token",
        "token",
        "access_token",
        "accesstoken",
        "refresh_token",
        "client_secret",
        "key",
        "masterkey",
        "master_key",
        "pid",
    }
    | {"x-master-key", "authorization", "cookie", "set-cookie", "sec-websocket-key"}
    | {"password", "old_password", "new_password", "client_secret", "secret_key", "secret_key_fallbacks"}
    | {"workspace_invitation_token", "user_session"}
)
REDACTED = "[redacted]"
SANE_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_NAMES = "|".join(re.escape(name) for name in sorted(SECRETS, key=len, reverse=True))
_PARAMETER = re.compile(r"""(?<![^\s?&;"'(\[{,/#])([\w%.+-]{1,64})=([^&\s"'<>;,)]+)""")
_QUOTED = re.compile(rf"""(\\*["'](?:{_NAMES})\\*["']\s*[:,=]\s*[bru]*)(\\*["'])(?:(?!\2).)*?\2""", re.IGNORECASE)
_HEADER = re.compile(r"\b((?:authorization|cookie|set-cookie|x-master-key)\s*:\s*)[^\r\n]+", re.IGNORECASE)
_SCHEME = re.compile(r"\b((?:jwt|bearer|token|basic)\s+)[\w.~+/-]{16,}=*", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*")
_PATH = re.compile(r"(/token/)[^/\s?\"']{16,}")  # what an invitation's link carries
_URL_PASSWORD = re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+@")
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

# These libraries add a handler of their own, past our formatter, to a logger that has no level yet; and at INFO they
# log every packet; peewee logs every parameter.
CHATTY = (
    "engineio.server", "engineio.client", "socketio.server", "socketio.client", "socketio", "peewee",
    "boto3", "botocore", "s3transfer", "urllib3",
)  # fmt: skip


def redact(text: str) -> str:
    """The text without credentials; what a pattern cannot do without is looked for first, which costs far less."""
    if "=" in text:
        text = _PARAMETER.sub(_redact_parameter, text)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(rf"\1\2{REDACTED}\2", text)
    if ":" in text:
        text = _HEADER.sub(rf"\1{REDACTED}", text)
    folded = " ".join(text.split()).casefold()
    if "jwt " in folded or "bearer " in folded or "token " in folded or "bas" in folded:  # "ı" passes for "i"
        text = _SCHEME.sub(rf"\1{REDACTED}", text)
    if "eyJ" in text:
        text = _JWT.sub(REDACTED, text)
    if "/token/" in text:
        text = _PATH.sub(rf"\1{REDACTED}", text)
    if "@" in text:
        text = _URL_PASSWORD.sub(rf"\1{REDACTED}@", text)
    return text


def _redact_parameter(found: re.Match[str]) -> str:
    """Names may be percent-encoded, to any depth that some proxy undoes."""
    name = found[1]
    while "%" in name and (decoded := unquote_plus(name)) != name:
        name = decoded
    return f"{found[1]}={REDACTED}" if name.strip().lower() in SECRETS else found[0]


def redact_value(value: Any) -> Any:
    """The same for what an extra field of a log record holds."""
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, Mapping):
        return {
            str(key): REDACTED if str(key).lower() in SECRETS else redact_value(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item) for item in value]
    return redact(str(value))


def request_id(offered: str | None) -> str:
    """The id under which a request is logged: the one that a router gave it when it is sane, else a new one."""
    if offered and SANE_ID.fullmatch(offered) and redact(offered) == offered:
        return offered
    return f"{DICE.getrandbits(128):032x}"


class RequestId(logging.Filter):
    """Gives each record the id of the request in whose context it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that a log call gave by `extra=`."""
    return {key: value for key, value in record.__dict__.items() if key not in _PLAIN and key != "request_id"}


class ConsoleFormatter(logging.Formatter):
    """`12:04:59.123 INFO  server.rest.access 3f2a… GET /api/… 200` for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        identity = getattr(record, "request_id", "")
        text = super().format(record)
        return redact(f"{text} [{identity}]" if identity and "\n" not in text else text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, the extra fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if identity := getattr(record, "request_id", ""):
            line["request_id"] = identity
        line |= redact_value(extras(record))
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redact(record.stack_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # what only the standard library knows to write, such as a lone surrogate
            return json.dumps(line, ensure_ascii=False, default=str)


class NoHTTP(logging.Filter):
    """What is no HTTP is its sender's error: one line without a stack, lest anybody fill the disk with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return True


def configure(log_format: str = "auto", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends all logs of the process to one stream (stderr), as `console` or `json`; `auto`: console on a terminal. No
    format of ours shows in which thread of which process something was logged, so it is not looked up."""
    vars(logging).update(logThreads=False, logProcesses=False, logMultiprocessing=False)
    stream = stream or sys.stderr
    console = stream.isatty() if log_format == "auto" else log_format == "console"
    handler = logging.StreamHandler(stream)
    handler.addFilter(RequestId())
    handler.setFormatter(ConsoleFormatter() if console else JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.setLevel({"DEBUG": "INFO", "ERROR": "ERROR"}.get(level, "WARNING"))
    logging.getLogger("aiohttp.server").filters = [NoHTTP()]
    logging.captureWarnings(True)
    sys.excepthook = log_uncaught


def log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What nobody caught goes the same way as everything else, so that it is redacted too."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("server").critical("uncaught exception", exc_info=(kind, error, trace))
