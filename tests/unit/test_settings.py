"""Settings: read from the environment, refused with the variable's name, shown without secrets."""

import stat
from pathlib import Path

import pytest

from server.cli.config import entries, page, shown
from server.settings import Settings, SettingsError, env_name

DOCS = Path(__file__).parents[2] / "docs"
KEY = {"SECRET_KEY": "a-secret-key-for-tests-that-is-long-enough"}


def test_defaults_need_no_environment(tmp_path: Path) -> None:
    settings = Settings.from_environ({}, database_url=f"sqlite:///{tmp_path}/x.sqlite3")
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert not settings.several_processes


def test_a_platform_that_gives_a_port_is_listened_to_from_outside() -> None:
    settings = Settings.from_environ(KEY | {"PORT": "5000"})
    assert (settings.host, settings.port) == ("0.0.0.0", 5000)
    assert Settings.from_environ(KEY | {"PORT": "5000", "HOST": "::1"}).host == "::1"


def test_empty_variables_count_as_not_set() -> None:
    assert Settings.from_environ(KEY | {"PORT": "", "ROOMCAST_WORKERS": ""}).port == 8000


def test_the_command_line_wins_over_the_environment() -> None:
    assert Settings.from_environ(KEY | {"PORT": "5000"}, port=6000, host=None).port == 6000


@pytest.mark.parametrize("url", ["postgres://ann@db/app", "postgresql://ann@db/app"])
def test_both_spellings_of_postgresql_are_taken(url: str) -> None:
    settings = Settings.from_environ(KEY | {"DATABASE_URL": url})
    assert settings.database_url == "postgres://ann@db/app"
    assert settings.sqlite_path is None


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PORT": "http"}, "PORT: "),
        ({"PORT": "70000"}, "PORT: "),
        ({"DATABASE_URL": "mysql://db/app"}, "DATABASE_URL: "),
        ({"ROOMCAST_WORKERS": "0"}, "ROOMCAST_WORKERS: "),
        ({"ROOMCAST_WORKERS": "4"}, "needs REDIS_URL"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT: "),
        ({"FILE_STORAGE": "/srv/files"}, "FILE_STORAGE: "),
        ({"FILE_STORAGE": "s3://"}, "FILE_STORAGE: "),
        ({"FILE_STORAGE": "file://host/dir"}, "FILE_STORAGE: "),
        ({"PING_INTERVAL": "0"}, "PING_INTERVAL: "),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.from_environ(KEY | environ)


def test_all_wrong_variables_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"PORT: .*; LOG_LEVEL: "):
        Settings.from_environ(KEY | {"PORT": "x", "LOG_LEVEL": "LOUD"})


def test_wrong_values_of_secrets_are_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"DATABASE_URL": "mysql://ann:hunter2@db/app"})
    assert "hunter2" not in str(caught.value)


def test_postgresql_needs_a_secret_key() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY must be set"):
        Settings.from_environ({"DATABASE_URL": "postgres://ann@db/app"})


def test_with_sqlite_a_key_is_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/sub/x.sqlite3"}
    first, second = (Settings.from_environ(environ).secret_key for _ in range(2))
    kept = tmp_path / "sub" / "x.sqlite3.secret"
    assert first == second == kept.read_text()
    assert len(first) >= 64
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_variables_are_all_different() -> None:
    variables = [env_name(name, field) for name, field in Settings.model_fields.items()]
    assert len(set(variables)) == len(variables)
    assert "WEB_CONCURRENCY" not in variables  # build packs set it by themselves


def test_every_setting_is_documented() -> None:
    assert all(entry.doc and entry.type in ("str", "int", "float", "bool") for entry in entries(Settings()))


def test_secrets_are_shown_as_set_or_not() -> None:
    assert shown("", True) == ""
    assert shown("abc", True) == "[redacted]"
    assert shown("postgres://ann:hunter2@db/app", True) == "postgres://ann:[redacted]@db/app"
    assert shown("sqlite:///x.sqlite3", True) == "sqlite:///x.sqlite3"
    assert shown(True, False) == "true"


def test_the_page_of_settings_is_current() -> None:
    """After a change: python -m server config --markdown > docs/settings.md"""
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == page()
