"""Every setting of the server: environment name, type, default, unit and one line of documentation.

Invariants: a setting is read once, at start-up, from the environment; nothing else in the server
reads the environment. `python -m server config` and the settings table in `docs/` are generated from this file.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

SQLITE = "sqlite:///"
MIN_KEY = 32  # bytes
ORIGIN = re.compile(r"https?://[^/?#@\s,]+/?", re.IGNORECASE)
STORAGE = re.compile(r"file:///[^?#]+|s3://[^/?#@\s]+(/[^?#]*)?(\?[^#]*)?")


class SettingsError(Exception):
    """The environment cannot be used as it is; the text says which variable and why."""


def setting(default: Any, doc: str, *, env: str = "", unit: str = "", secret: bool = False, **limits: Any) -> Any:
    """A documented field; `env` names its variable where that is not the field's name in capitals."""
    extra: dict[str, Any] = {"env": env, "unit": unit, "secret": secret}
    return Field(default=default, description=doc, json_schema_extra=extra, **limits)


class Settings(BaseModel):
    """All settings with their defaults; `from_environ` reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0 is the default where PORT is given by the platform")
    port: int = setting(8000, "port to listen on", ge=0, le=65535)
    workers: int = setting(1, "processes that share the port", env="ROOMCAST_WORKERS", ge=1, le=64)
    database_url: str = setting(
        "sqlite:///roomcast.sqlite3", "sqlite:///FILE or postgres://USER:PASSWORD@HOST:PORT/NAME", secret=True
    )
    file_storage: str = setting(
        "",
        "file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=URL&region=NAME, for this database alone; empty: with SQLite"
        " a directory beside the file, otherwise no files",
    )
    redis_url: str = setting("", "redis:// or rediss://; needed as soon as more than one process serves", secret=True)
    secret_key: str = setting(
        "", "key that signs tokens, 32 bytes or more; with SQLite made and kept beside the file", secret=True
    )
    secret_key_fallbacks: str = setting(
        "", "further keys that are accepted, comma separated: those before SECRET_KEY, or the one after it", secret=True
    )
    public_url: str = setting("", "address under which clients reach the server; empty: taken from each request")
    allowed_origins: str = setting("*", "web origins that may call the API and open sockets, comma separated, or *")
    trusted_proxies: int = setting(0, "proxies in front whose X-Forwarded-* headers are believed", ge=0, le=16)

    access_token_lifetime: int = setting(3600, "life of an access token", unit="s", ge=1)
    refresh_token_lifetime: int = setting(7 * 86400, "life of a refresh token", unit="s", ge=1)
    signup_creates_workspace: bool = setting(True, "sign-up makes a workspace with a sample table")
    allow_signups: bool = setting(True, "anybody may sign up; invited people always may")

    database_writers: int = setting(8, "threads that write to PostgreSQL (SQLite has one)", unit="threads", ge=1, le=64)
    database_readers: int = setting(4, "threads that read", unit="threads", ge=1, le=64)
    database_retries: int = setting(8, "runs of an action that met busy, deadlock or serialisation failure", ge=1)
    sandbox_workers: int = setting(
        2, "expressions of users evaluated at once, each in a process of its own", unit="processes", ge=1, le=64
    )
    interpretation_workers: int = setting(
        1,
        "uploaded documents interpreted at once, each in a process of its own; 0: none here",
        unit="processes",
        ge=0,
        le=64,
    )
    interpretation_timeout: float = setting(30.0, "time in which a document must be interpreted", unit="s", gt=0)
    interpretation_interval: float = setting(
        10.0, "time between two looks for documents that another process left behind", unit="s", gt=0
    )
    poll_interval: float = setting(1.0, "silence after which the log is looked at without a bell", unit="s", gt=0)

    retention_age: int = setting(7 * 86400, "age at which events leave the log", unit="s", ge=1)
    retention_events: int = setting(1_000_000, "events above which the oldest leave the log", unit="events", ge=1)
    replay_limit: int = setting(10_000, "missed events above which a client is told to refresh", unit="events", ge=1)
    session_lifetime: int = setting(
        86400, "time a Socket.IO session can be recovered after it was seen", unit="s", ge=1
    )
    socketio_recovery: bool = setting(False, "all Socket.IO connections can be recovered, not only those that ask")
    housekeeping_interval: float = setting(60.0, "time between two rounds that remove what is too old", unit="s", gt=0)

    webhook_timeout: float = setting(5.0, "time in which a receiver of a webhook must answer", unit="s", gt=0, le=60)
    webhook_retry: float = setting(
        5.0, "pause after a first failed delivery; each further one doubles it, up to an hour", unit="s", gt=0
    )
    webhook_patience: float = setting(
        86400.0, "time of nothing but failures after which a webhook is disabled", unit="s", gt=0
    )
    webhook_interval: float = setting(
        10.0, "time between two looks for what a process that died did not deliver", unit="s", gt=0
    )
    webhook_concurrency: int = setting(100, "webhooks that one process serves at the same time", unit="webhooks", ge=1)
    webhook_private_addresses: bool = setting(
        False, "only for tests and closed networks: webhooks may lead to private addresses"
    )

    ping_interval: float = setting(20.0, "Engine.IO ping interval", unit="s", gt=0)
    ping_timeout: float = setting(20.0, "Engine.IO ping timeout", unit="s", gt=0)
    connect_timeout: float = setting(10.0, "time in which a Socket.IO client must enter a namespace", unit="s", gt=0)
    heartbeat: float = setting(25.0, "ping interval of raw WebSockets", unit="s", gt=0)
    stream_heartbeat: float = setting(15.0, "time between two comments on an event stream", unit="s", gt=0)
    send_buffer_limit: int = setting(
        1 << 20, "unsent bytes above which a reader that is told more is cut (4408)", unit="B", ge=4096
    )
    max_frame_size: int = setting(1 << 20, "largest frame a client may send", unit="B", ge=1024)
    max_body_size: int = setting(20 << 20, "largest JSON request body", unit="B", ge=1024)
    max_json_depth: int = setting(64, "lists and objects within each other in what clients send", ge=8, le=256)
    max_header_size: int = setting(8190, "largest request line, and largest header", unit="B", ge=1024)
    max_headers: int = setting(128, "headers of one request", ge=16)
    header_timeout: float = setting(10.0, "time in which a client must finish the head of a request", unit="s", gt=0)
    body_timeout: float = setting(60.0, "time in which the body of a request must arrive", unit="s", gt=0)
    max_file_size: int = setting(100 << 20, "largest file of an upload", unit="B", ge=1024)
    max_files: int = setting(10, "files of one upload", ge=1)
    max_uploads: int = setting(32, "uploads at once in one process; 0: any number", ge=0)
    max_pages: int = setting(200, "pages, endpoints or rooms that one socket or stream may subscribe", ge=1)
    max_connections_per_user: int = setting(
        1000, "sockets and streams of one user in one process; 0: any number", unit="connections", ge=0
    )
    max_connections_per_address: int = setting(
        10_000, "sockets and streams of one client address in one process; 0: any number", unit="connections", ge=0
    )
    connects_per_second: float = setting(
        100.0, "new sockets and streams of one client address, after a burst; 0: any number", unit="1/s", ge=0
    )
    connects_burst: int = setting(1000, "new sockets and streams that one address may open at once", ge=1)
    events_per_second: float = setting(50.0, "messages of one socket, after a burst; 0: any number", unit="1/s", ge=0)
    events_burst: int = setting(500, "messages that one socket may send at once", ge=1)
    login_window: float = setting(600.0, "time to which the numbers of failed logins refer", unit="s", gt=0)
    logins_per_account: int = setting(10, "failed logins of one account in that time; 0: any number", ge=0)
    logins_per_address: int = setting(
        100, "failed logins, and sign-ups, of one client address in that time; 0: any number", ge=0
    )
    polling_affinity: bool = setting(False, "the router sends a client's requests to one process: allows long-polling")
    shutdown_spread: float = setting(5.0, "time over which sockets are closed at shutdown", unit="s", ge=0)
    shutdown_timeout: float = setting(20.0, "time after which shutdown no longer waits for requests", unit="s", gt=0)

    metrics_token: str = setting(
        "", "bearer token for GET /metrics; empty: only the machine itself may read it", secret=True
    )

    log_format: str = setting("auto", "console, json, or auto: console on a terminal", pattern="^(auto|console|json)$")
    log_level: str = setting("INFO", "least level that is logged", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    fault_points: str = setting("", "only for tests: points at which the process dies, such as before_bell:kill:3")

    @field_validator("database_url")
    @classmethod
    def known_scheme(cls, url: str) -> str:
        """Heroku writes postgres://, others postgresql://; both are taken."""
        if url.startswith("postgresql://"):
            url = "postgres://" + url.removeprefix("postgresql://")
        if not url.startswith((SQLITE, "postgres://")):
            raise ValueError("must begin with sqlite:/// or postgres://")
        return url

    @field_validator("file_storage")
    @classmethod
    def known_storage(cls, url: str) -> str:
        """What is neither would only be found out by the first upload."""
        if url and not STORAGE.fullmatch(url):
            raise ValueError("must be file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=URL&region=NAME")
        return url

    @field_validator("secret_key", "secret_key_fallbacks")
    @classmethod
    def long_keys(cls, text: str, info: ValidationInfo) -> str:
        """RFC 7518, 3.2: a key of HS256 is no shorter than its hash."""
        keys = [text] if info.field_name == "secret_key" and text else parts_of(text)
        if any(len(key.encode()) < MIN_KEY for key in keys):
            raise ValueError(f"a key must have at least {MIN_KEY} bytes, such as `openssl rand -hex 32` makes")
        return text

    @field_validator("allowed_origins")
    @classmethod
    def known_origins(cls, text: str) -> str:
        """What is no origin would be allowed to nobody, in silence."""
        for part in parts_of(text):
            if part != "*" and not ORIGIN.fullmatch(part):
                raise ValueError(f"{part} is no origin such as https://app.example.com")
        return text

    @model_validator(mode="after")
    def several_processes_need_redis(self) -> Self:
        """Without a shared bell a second process would hear of changes only by polling."""
        if self.workers > 1 and not self.redis_url:
            raise ValueError("more than one worker needs REDIS_URL")
        return self

    @property
    def fallback_keys(self) -> list[str]:
        """The keys of SECRET_KEY_FALLBACKS."""
        return parts_of(self.secret_key_fallbacks)

    @property
    def origins(self) -> frozenset[str]:
        """The origins of ALLOWED_ORIGINS; `*` stands for all."""
        return frozenset(parts_of(self.allowed_origins))

    @property
    def sqlite_path(self) -> Path | None:
        """The file of the SQLite database; None for PostgreSQL."""
        return Path(self.database_url.removeprefix(SQLITE)) if self.database_url.startswith(SQLITE) else None

    @property
    def storage_url(self) -> str:
        """Where files are kept; empty where none are. A PostgreSQL server is no place beside which every process has
        the same directory."""
        if self.file_storage or self.sqlite_path is None:
            return self.file_storage
        path = self.sqlite_path.absolute()
        return path.with_name(path.name + ".files").as_uri()

    @property
    def foreign_environ(self) -> dict[str, str]:
        """The environment without our variables, for code of others that the operator has installed."""
        ours = {env_name(name, field) for name, field in type(self).model_fields.items()}
        return {name: value for name, value in os.environ.items() if name not in ours}

    @property
    def several_processes(self) -> bool:
        """True where other processes may serve the same clients."""
        return bool(self.redis_url)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **overrides: Any) -> Self:
        """Settings from environment variables and command-line overrides (None = not given); raises SettingsError."""
        given = {
            name: environ[env]
            for name, field in cls.model_fields.items()
            if environ.get(env := env_name(name, field), "") != ""
        }
        if "port" in given:
            given.setdefault("host", "0.0.0.0")
        given |= {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls.model_validate(given).with_secret_key()
        except ValidationError as error:
            raise SettingsError(describe(cls, error)) from None

    def with_secret_key(self) -> Self:
        """The same settings with a key: the given one, or with SQLite one generated and kept beside the file."""
        if self.secret_key:
            return self
        if self.sqlite_path is None:
            raise SettingsError("SECRET_KEY must be set when DATABASE_URL names a PostgreSQL server")
        return self.model_copy(update={"secret_key": kept_secret(self.sqlite_path)})


def parts_of(text: str) -> list[str]:
    """The parts of a comma separated value."""
    return [part.strip() for part in text.split(",") if part.strip()]


def env_name(name: str, field: Any) -> str:
    """The environment variable of a setting."""
    extra = field.json_schema_extra or {}
    return str(extra.get("env") or name.upper())


def kept_secret(database: Path) -> str:
    """The key kept beside a SQLite file with mode 0600; made on first use."""
    path = database.with_name(database.name + ".secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def describe(cls: type[Settings], error: ValidationError) -> str:
    """One line per wrong variable."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        label = env_name(name, cls.model_fields[name]) if name in cls.model_fields else name
        lines.append(f"{label}: {problem['msg']}" if label else problem["msg"])
    return "; ".join(lines)
