"""The project's own commands as real processes."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Child

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-key-for-tests-that-is-long-enough"
LISTENS = r"roomcast listens on (http://\S+)"


def command(*arguments: str, cwd: Path | str = "/", module: str = "server", **environ: str) -> Child:
    """`python -m server …`, or another module that runs it, with nothing in its environment but `environ` and a secret
    key."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    env = inherited | {"PYTHONPATH": str(ROOT), "SECRET_KEY": SECRET} | environ
    return Child([sys.executable, "-m", module, *arguments], env=env, cwd=cwd)


def run(*arguments: str, status: int = 0, timeout: float = 60, **environ: str) -> str:
    """What a command printed, which must end with `status`."""
    with command(*arguments, **environ) as child:
        assert child.wait(timeout) == status, child.output
        return child.output


def listening_url(child: Child) -> str:
    """Where a serving command listens, once it says so."""
    found = re.search(LISTENS, child.wait_line(LISTENS))
    assert found is not None
    return found[1]


@contextmanager
def serving(*arguments: str, port: int = 0, **environ: str) -> Iterator[tuple[Child, str]]:
    """`serve` and its URL."""
    with command("serve", "--port", str(port), *arguments, **environ) as child:
        yield child, listening_url(child)
