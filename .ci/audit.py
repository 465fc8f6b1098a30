"""Asks the advisory service about every package that the server runs on: `audit.py requirements.lock`.

Fails for a known hole. Where the service cannot be reached, or does not know a package, it says so and does not fail:
the checks must also run without a network.
"""

import json
import subprocess
import sys
from typing import Any

OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "5", "--format", "json")
PATIENCE = 60  # seconds


def audit(lock: str) -> int:
    """The exit status; prints what came out."""
    command = [sys.executable, "-m", "pip_audit", *OPTIONS, "--requirement", lock]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        packages = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        print("audit: NOT DONE, the advisory service cannot be reached")
        return 0
    unknown = [package for package in packages if "skip_reason" in package]
    holes = [describe(package, hole) for package in packages for hole in package.get("vulns", ())]
    print(f"audit: {len(holes)} known holes in {len(packages) - len(unknown)} packages", *holes, sep="\n  ")
    if unknown:
        print(f"audit: NOT DONE for {len(unknown)} packages that the advisory service does not know")
    return 1 if holes else 0


def describe(package: dict[str, Any], hole: dict[str, Any]) -> str:
    return f"{package['name']} {package['version']}: {hole['id']}, repaired in {', '.join(hole['fix_versions']) or '-'}"


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1]))
