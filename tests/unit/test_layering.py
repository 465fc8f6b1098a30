"""The order of the house: which room of `server/` may import which, no ring of imports, no long file."""

from pathlib import Path

import pytest

from tests.support.imports import Graph, find_cycle, import_graph

SERVER = Path(__file__).parents[2] / "server"
LONGEST_FILE = 400  # lines

LEAVES = {
    "__init__",
    "errors",
    "encoding",
    "addresses",
    "metrics",
    "dice",
    "rates",
    "faults",
    "destinations",
    "storage",
}  # import nothing of ours, all may import them: ADR 2

# Room -> the rooms that it may import; its own files it may always. A room is a folder, or a file beside the folders.
MAY_IMPORT: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "storage": {"errors"},
    "settings": set(),
    "sandbox": LEAVES,
    "logs": {"dice"},
    "events": LEAVES,
    "store": LEAVES | {"events"},
    "auth": LEAVES | {"store", "events"},
    "actions": LEAVES | {"store", "auth", "events"},
    "rest": LEAVES | {"actions", "auth", "logs", "sandbox"},
    "delivery": LEAVES | {"store", "auth", "events", "logs"},
    "namespaces": LEAVES | {"actions", "auth", "delivery"},
    "webhooks": LEAVES | {"store", "events"},
    "interpretation": LEAVES | {"sandbox", "actions", "store"},
    "console": set(),
    "cli": LEAVES | {"app", "parts", "lifecycle", "settings", "logs", "actions", "auth", "store"},
}
MAY_IMPORT["parts"] = {*MAY_IMPORT} - {"cli"}
MAY_IMPORT["lifecycle"] = {*MAY_IMPORT} - {"cli"}
MAY_IMPORT["app"] = {*MAY_IMPORT}


def room(file: str) -> str:
    """The room of a file; the command line is one room with its entrance."""
    name = file.partition("/")[0].removesuffix(".py")
    return "cli" if name == "__main__" else name


def trespasses(graph: Graph) -> list[str]:
    """The imports that the table does not allow, as `file imports file`."""
    return [
        f"{file} imports {imported}"
        for file, files in sorted(graph.items())
        for imported in sorted(files)
        if room(imported) not in MAY_IMPORT.get(room(file), set()) | {room(file)}
    ]


def test_every_file_is_in_a_known_room() -> None:
    assert {room(file) for file in import_graph(SERVER)} <= MAY_IMPORT.keys()


def test_rooms_import_only_what_they_may() -> None:
    assert trespasses(import_graph(SERVER)) == []


def test_no_ring_of_imports() -> None:
    assert find_cycle(import_graph(SERVER)) == []


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SERVER.rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("events/a.py", "import server.store.log"),
        ("events/a.py", "from server.store import log"),
        ("events/a.py", "from server.store.log import read"),
        ("events/a.py", "from ..store import log"),
        ("events/a.py", "from ..store.log import read"),
        ("events/__init__.py", "from ..store import log"),
        ("events/a.py", "from .. import store"),
        ("events/a.py", "def late():\n    from server import store"),
        ("events/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from server.store.log import read"),
        ("rest/a.py", "from server.store.log import read"),
        ("store/log.py", "import server.app"),
        ("errors.py", "from server.store.log import read"),
    ],
)
def test_a_forbidden_import_is_found_however_it_is_written(tmp_path: Path, file: str, source: str) -> None:
    package = write(tmp_path, {"store/__init__.py": "", "store/log.py": "", "app.py": "", file: source})
    assert [line.partition(" ")[0] for line in trespasses(import_graph(package))] == [file]


def test_allowed_imports_pass(tmp_path: Path) -> None:
    package = write(
        tmp_path,
        {
            "errors.py": "import json",
            "store/__init__.py": "from server.store.log import read",
            "store/log.py": "from server.errors import Problem\nfrom server import errors",
            "actions/rows.py": "from server.store import read",
            "app.py": "import server.actions.rows, aiohttp.web",
            "cli/serve.py": "from server.app import create_app",
            "__main__.py": "from server.cli import serve",
        },
    )
    graph = import_graph(package)
    assert trespasses(graph) == []
    assert find_cycle(graph) == []
    assert graph["actions/rows.py"] == {"store/__init__.py"}
    assert graph["__main__.py"] == {"cli/serve.py"}


def test_a_ring_is_named(tmp_path: Path) -> None:
    package = write(tmp_path, {"a.py": "import server.b", "b.py": "from . import c", "c.py": "from .a import x"})
    assert find_cycle(import_graph(package)) == ["a.py", "b.py", "c.py", "a.py"]


def write(folder: Path, files: dict[str, str]) -> Path:
    """A package `server` made of these files."""
    for name, source in {"__init__.py": "", **files}.items():
        path = folder / "server" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder / "server"
