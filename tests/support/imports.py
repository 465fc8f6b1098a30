"""Which file of a package imports which: read from the source, nothing is executed.

Every import counts, also inside functions and under `if TYPE_CHECKING`. Files are named by their path in the package,
like `store/log.py`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

Graph = dict[str, set[str]]


def import_graph(package: Path) -> Graph:
    """File -> the files of the same package that it imports."""
    files = {_module(package, path): path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py"))}
    graph: Graph = {}
    for module, file in files.items():
        tree = ast.parse((package / file).read_text(encoding="utf-8"), filename=file)
        parent = module if file.endswith("__init__.py") else module.rpartition(".")[0]
        names = [_known(name, files) for name in _imported(tree, parent, files)]
        graph[file] = {files[name] for name in names if name is not None} - {file}
    return graph


def find_cycle(graph: Graph) -> list[str]:
    """Files that import each other in a ring, the first one repeated at the end; empty when there is none."""
    finished: set[str] = set()
    for start in sorted(graph):
        ring = _walk(graph, start, [], finished)
        if ring:
            return ring
    return []


def _walk(graph: Graph, file: str, path: list[str], finished: set[str]) -> list[str]:
    if file in path:
        return [*path[path.index(file) :], file]
    if file in finished:
        return []
    for imported in sorted(graph[file]):
        ring = _walk(graph, imported, [*path, file], finished)
        if ring:
            return ring
    finished.add(file)
    return []


def _module(package: Path, path: Path) -> str:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, parent: str, modules: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, parent)
            for alias in node.names:  # `from package import module` imports the module, else what the package holds
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base


def _base(node: ast.ImportFrom, parent: str) -> str:
    if not node.level:
        return node.module or ""
    anchor = parent.rsplit(".", node.level - 1)[0]
    return f"{anchor}.{node.module}" if node.module else anchor


def _known(name: str, modules: dict[str, str]) -> str | None:
    """The module of the package that `name` leads to: itself, or the nearest one above it."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None
