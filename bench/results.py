"""RESULTS.md: each set of figures has a section between two marks; what people wrote around them stays."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def write_section(name: str, text: str) -> None:
    """Replaces the section of this name, or adds it after the last one."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    if begin not in old:
        head, mark, rest = old.rpartition("-->") if "-->" in old else (old.rstrip(), "", "\n")
        old = f"{head}{mark}\n\n{begin}\n{end}{rest}"
    head, _, rest = old.partition(begin)
    RESULTS.write_text(f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    """Cores, processor and versions."""
    named = (line.split(":")[1].strip() for line in cpu_lines() if line.startswith("model name"))
    cpu = next(named, platform.machine())
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {cpu}, {system}, Python {platform.python_version()}"


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
