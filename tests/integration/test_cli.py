"""The commands, as real processes: accounts, configuration, migrations, the demonstration."""

import asyncio
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.support.commands import run, serving


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.sqlite3"


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as response:
        return response.status, await response.text()


async def test_an_account_made_here_can_use_the_server(sqlite_url: str) -> None:
    made = run(
        "create-user", "Ann@Example.com", "--name", "Ann", "--password", "password-1234", DATABASE_URL=sqlite_url
    )
    assert "made account 1 for ann@example.com" in made
    token = run("token", "ann@example.com", DATABASE_URL=sqlite_url).splitlines()[-1]
    with serving(DATABASE_URL=sqlite_url) as (_, url):
        status, text = await get(f"{url}/api/workspaces/", Authorization=f"JWT {token}")
        assert (status, "Ann's workspace" in text) == (200, True)
        async with aiohttp.ClientSession() as http:
            login = {"email": "ann@example.com", "password": "password-1234"}
            async with http.post(f"{url}/api/user/token-auth/", json=login) as response:
                assert response.status == 200
                assert (await response.json())["user"]["is_staff"] is True  # the first account


async def test_staff_is_made_on_demand_and_the_password_may_come_from_the_environment(sqlite_url: str) -> None:
    environ = {"DATABASE_URL": sqlite_url, "ROOMCAST_PASSWORD": "password-1234", "SIGNUP_CREATES_WORKSPACE": "false"}
    create_user = partial(asyncio.to_thread, run, "create-user", **environ)
    await create_user("a@example.com")
    await asyncio.gather(create_user("b@example.com"), create_user("c@example.com", "--staff"))
    async with aiohttp.ClientSession() as http:
        with serving(DATABASE_URL=sqlite_url) as (_, url):
            for email, staff in (("b@example.com", False), ("c@example.com", True)):
                login = {"email": email, "password": "password-1234"}
                async with http.post(f"{url}/api/user/token-auth/", json=login) as response:
                    assert (await response.json())["user"]["is_staff"] is staff


async def test_an_account_that_cannot_be_made_is_told_why(sqlite_url: str) -> None:
    async def told(status: int, *arguments: str) -> str:
        return await asyncio.to_thread(run, *arguments, DATABASE_URL=sqlite_url, status=status)

    def create(email: str, password: str) -> tuple[str, ...]:
        return "create-user", email, "--password", password

    await told(0, *create("ann@example.com", "password-1234"))
    no_address, no_password, twice, nobody = await asyncio.gather(
        told(2, *create("bob", "password-1234")),
        told(2, *create("bob@example.com", "short")),
        told(1, *create("ANN@example.com", "password-1234")),
        told(1, "token", "bob@example.com"),
    )
    assert "no e-mail address" in no_address
    assert "8 to 256 characters" in no_password
    assert "an account for ANN@example.com already" in twice
    assert "no account for bob@example.com" in nobody


def test_config_shows_every_setting_and_no_secret() -> None:
    output = run("config", DATABASE_URL="postgres://ann:hunter2@db/app", PORT="5001", SECRET_KEY="swordfish" * 4)
    assert "hunter2" not in output
    assert "swordfish" not in output
    assert "5001" in output
    assert "postgres://ann:[redacted]@db/app" in output
    assert "SHUTDOWN_TIMEOUT" in output


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PORT": "http"}, "PORT: "),
        ({"DATABASE_URL": "postgres://ann:hunter2@db/app", "SECRET_KEY": ""}, "SECRET_KEY must be set"),
        ({"ROOMCAST_WORKERS": "2"}, "needs REDIS_URL"),
        ({"DATABASE_URL": "oracle://ann:hunter2@db"}, "DATABASE_URL: "),
    ],
)
def test_a_server_that_cannot_be_configured_says_why(environ: dict[str, str], words: str) -> None:
    output = run("serve", status=2, **environ)
    assert words in output
    assert "hunter2" not in output
    assert "Traceback" not in output


def test_a_database_that_is_not_there_is_named() -> None:
    output = run("serve", DATABASE_URL="postgres://ann:hunter2@127.0.0.1:1/app", status=1)
    assert "postgres://127.0.0.1:1/app: " in output
    assert "hunter2" not in output
    assert "Traceback" not in output


def test_a_port_that_is_taken_is_named(sqlite_url: str) -> None:
    with serving(DATABASE_URL=sqlite_url) as (_, url):
        port = url.rpartition(":")[2]
        output = run("serve", "--port", port, DATABASE_URL=sqlite_url, status=1)
        assert f"cannot listen on 127.0.0.1:{port}" in output


async def test_postgresql_is_served_only_when_it_was_migrated(postgres_url: str) -> None:
    refusal = run("serve", DATABASE_URL=postgres_url, status=2)
    assert "lacks migrations: 0001_initial" in refusal
    assert "python -m server migrate" in refusal
    assert "applied 0001_initial" in run("migrate", DATABASE_URL=postgres_url)
    assert "applied" not in run("migrate", DATABASE_URL=postgres_url)
    with serving(DATABASE_URL=postgres_url) as (_, url):
        assert (await get(f"{url}/readyz"))[0] == 200


def test_the_demonstration_passes_on_sqlite(tmp_path: Path) -> None:
    output = run("demo", TMPDIR=str(tmp_path))
    assert "0 missing, 0 out of order, 0 unexpected" in output
    assert not list(tmp_path.iterdir())


def test_the_demonstration_passes_on_postgresql_and_redis(postgres_url: str, redis_url: str) -> None:
    for _ in range(2):  # the database may hold anything before
        output = run("demo", DATABASE_URL=postgres_url, REDIS_URL=redis_url)
        assert "0 missing, 0 out of order, 0 unexpected" in output
