"""Compiles the C sources on first use, into a directory that is not under version control."""

import hashlib
import os
import subprocess
from pathlib import Path

SOURCES = Path(__file__).with_name("c")
CACHE = Path(__file__).with_name(".cache")
PROGRAMS = {"load": ("load.c", "clients.c", "groups.c", "frames.c", "histogram.c"), "limit": ("limit.c",)}


def program(name: str) -> Path:
    """The compiled program; RuntimeError where there is no C compiler, or it fails."""
    compiler = os.environ.get("CC", "gcc")
    sources = [SOURCES / source for source in PROGRAMS[name]]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, SOURCES / "load.h"])).hexdigest()[:12]
    made = CACHE / f"{name}-{digest}"
    if made.exists():
        return made
    CACHE.mkdir(exist_ok=True)
    half = made.with_suffix(f".{os.getpid()}")
    try:
        subprocess.run([compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", half, *sources], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"the load generator needs a C compiler (gcc, or CC=…): {error}") from None
    half.rename(made)
    return made
