"""`make check` asks for known holes of the packages, and fails for nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2]
HOLE = {"name": "one", "version": "1.0", "vulns": [{"id": "HOLE-1", "fix_versions": ["1.1"]}]}
SOUND = {"name": "two", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "three", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([SOUND], 0, "audit: 0 known holes in 1 packages\n"),
        ([SOUND, HOLE], 1, "audit: 1 known holes in 2 packages\n  one 1.0: HOLE-1, repaired in 1.1\n"),
        (
            [SOUND, UNKNOWN],
            0,
            "audit: 0 known holes in 1 packages\n"
            "audit: NOT DONE for 1 packages that the advisory service does not know\n",
        ),
        (None, 0, "audit: NOT DONE, the advisory service cannot be reached\n"),
    ],
    ids=["sound", "a hole", "unknown to the service", "no service"],
)
def test_the_audit_says_what_it_found(tmp_path: Path, packages: Any, status: int, told: str) -> None:
    answer = "no connection" if packages is None else json.dumps({"dependencies": packages})
    (tmp_path / "pip_audit.py").write_text(f"print({answer!r})")
    command = [sys.executable, str(HERE / ".ci" / "audit.py"), str(HERE / "requirements.lock")]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (run.returncode, run.stdout) == (status, told), run.stderr
