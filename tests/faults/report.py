"""The table of what was injected and what was lost, written by the run itself."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import Findings
from tests.support.marked_page import put_between

BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
HEAD = "| fault | database | times | events committed | deliveries checked | lost | doubled or out of order |"


@dataclass
class Line:
    """One fault on one database."""

    fault: str
    database: str
    times: int = 0
    committed: int = 0
    delivered: int = 0
    lost: int = 0
    doubled: int = 0

    def cells(self) -> str:
        numbers = (self.times, self.committed, self.delivered, self.lost, self.doubled)
        return " | ".join([self.fault, self.database, *(f"{number:,}" for number in numbers)])


@dataclass
class Report:
    """The lines of a run; the same fault on the same database adds up."""

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)

    def add(self, fault: str, database: str, times: int, findings: Findings) -> None:
        """Takes the outcome of one test."""
        line = self.lines.setdefault((fault, database), Line(fault, database))
        line.times += times
        line.committed += findings.committed
        line.delivered += findings.told
        line.lost += findings.missing + findings.unwritten
        line.doubled += findings.doubled + findings.disordered + findings.foreign

    def table(self) -> str:
        """Markdown."""
        rule = "|---|---|" + "---:|" * 5
        return "\n".join([HEAD, rule, *(f"| {line.cells()} |" for line in self.lines.values())])

    def write(self, page: Path, remark: str) -> None:
        """Puts the table between the marks of a page, which may not exist yet."""
        if not page.exists():
            page.write_text(f"# Reliability\n\n{BEGIN}\n{END}\n")
        put_between(page, BEGIN, END, f"{remark}\n\n{self.table()}")
