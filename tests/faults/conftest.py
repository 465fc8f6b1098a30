"""Fixtures of the fault tests: a cluster on each database, how often to strike, and the report.

The short form, which every run of the tests takes, strikes a few times; `--faults-seconds N` makes a run of about N
seconds of it. What is by chance comes from one seed, which is printed and can be given again.
"""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.checker import Findings
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.report import Report

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
LONG_FORM = 600  # seconds for which the long numbers of strikes are meant
REPORT = pytest.StashKey[Report]()
SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults-seconds", type=int, default=0, help="length of the whole run; default: the short form")
    group.addoption("--faults-seed", type=int, default=None, help="the seed of an earlier run")
    group.addoption("--write-reliability", action="store_true", help="write the table into docs/reliability.md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report()
    given = config.getoption("--faults-seed", None)
    config.stash[SEED] = random.randrange(1 << 32) if given is None else given


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table and the seed, and writes the table where it was asked for."""
    config = terminalreporter.config
    report = config.stash[REPORT]
    if not report.lines:
        return
    terminalreporter.write_line(f"faults: --faults-seed {config.stash[SEED]}")
    terminalreporter.write_line(report.table())
    if config.getoption("--write-reliability", False):
        report.write(PAGE, f"The last run had the seed {config.stash[SEED]}.")


@dataclass
class Plan:
    """How a test strikes, and where it says what came of it."""

    database: str
    chance: random.Random
    seconds: int
    report: Report

    def times(self, short: int, long: int) -> int:
        """How often to strike: `long` times in a run of ten minutes, `short` times without being asked."""
        return max(short, round(long * self.seconds / LONG_FORM))

    def conclude(self, fault: str, times: int, findings: Findings) -> None:
        """Reports, and fails with the first examples when anything was wrong."""
        self.report.add(fault, self.database, times, findings)
        assert not findings.wrong, "\n".join([repr(findings), *findings.examples])


@pytest.fixture(params=["sqlite", "postgres"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that is not started: one process on SQLite, two on PostgreSQL and Redis."""
    if request.param == "sqlite":
        yield Cluster(f"sqlite:///{tmp_path}/faults.sqlite3")
    else:
        yield Cluster(request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url"), nodes=2)


@pytest.fixture
async def running(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The same, started."""
    async with running_cluster(cluster):
        yield cluster


@pytest.fixture
def plan(request: pytest.FixtureRequest, cluster: Cluster) -> Plan:
    """Chance is the run's seed and the test's name, so that a test can be repeated alone."""
    config = request.config
    seed = config.stash[SEED]
    print(f"--faults-seed {seed}")
    chance = random.Random(f"{seed} {request.node.name}")
    return Plan(cluster.kind, chance, config.getoption("--faults-seconds", 0), config.stash[REPORT])
