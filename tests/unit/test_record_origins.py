"""Which origins a project of the records API admits."""

import pytest

from server.auth.origins import is_admitted, normalise_origin

LISTED = ["https://app.example.com", "http://localhost:3000"]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        (" HTTPS://App.Example.COM/ ", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("", None),
        ("null", None),
        ("*", None),
        ("app.example.com", None),
        ("ftp://app.example.com", None),
        ("https://", None),
        ("https://*.example.com", None),
        ("https://app.example.com/path", None),
        ("https://app.example.com?x=1", None),
        ("https://app.example.com#x", None),
        ("https://user@app.example.com", None),
        ("https://app.example.com:99999", None),
        ("https://[::zz]", None),
        ("https://" + "a" * 64 + ".example", None),
        ("https://" + "a." * 400 + "example", None),
    ],
)
def test_origins_are_kept_as_browsers_send_them(text: str, origin: str | None) -> None:
    assert normalise_origin(text) == origin


@pytest.mark.parametrize(
    ("origin", "listed", "deny_no_origin", "admitted"),
    [
        (None, [], False, True),
        (None, [], True, False),
        (None, LISTED, False, True),
        (None, LISTED, True, False),
        ("https://any.example", [], False, True),
        ("null", [], True, True),
        ("https://app.example.com", LISTED, True, True),
        ("https://app.example.com:443", LISTED, False, True),
        ("http://app.example.com", LISTED, False, False),
        ("https://app.example.com.evil.example", LISTED, False, False),
        ("null", LISTED, False, False),
        ("", LISTED, False, False),
    ],
)
def test_who_is_admitted(origin: str | None, listed: list[str], deny_no_origin: bool, admitted: bool) -> None:
    assert is_admitted(origin, listed, deny_no_origin) is admitted
