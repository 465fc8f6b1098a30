"""Pages of the documentation of which a run of the tests writes a part: the one between two marks."""

from pathlib import Path


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replaces what is between the marks and nothing else; raises ValueError for a page that lacks one."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{page} lacks the marks {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
