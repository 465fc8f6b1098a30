"""Which text of a document belongs into which field: pure, lines and fields in, readings out.

A field is found by its name, as a label: its value stands behind the label on the same line, or below it. What has no
label is taken only where the document holds one single text that the field takes and that looks like data, so an IBAN
is found and a name is not made up. Whatever is taken is valid.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from server.interpretation.documents import Reading, WantedField

ALGORITHM = "pdf-text"
BEHIND, BELOW, ALONE = 0.9, 0.7, 0.5  # confidence, by where the value stands
MAX_TOKENS = 8  # words of a value, unless it is a whole chunk
MAX_CHUNKS = 4  # behind one label
MAX_CANDIDATE = 500  # characters
MAX_PLACES = 20  # of one label
MAX_LINES = 300  # that are searched for values without a label
LEAST_ALONE = 6  # characters of a value without a label
CHUNK = re.compile(r"\S+(?: \S+)*")  # what no wide gap divides
DATA = re.compile(r"[\d@]")
AFTER_LABEL = " \t:#=."


class Line(NamedTuple):
    """A line of a page, the first of which is 1; wide gaps are several blanks."""

    page: int
    text: str


class Label(NamedTuple):
    """Where a line has the name of a field; what belongs to it ends before `until`."""

    field: WantedField
    place: int  # of the line
    start: int
    end: int
    until: int


class Found(NamedTuple):
    text: str
    page: int
    confidence: float


def fill(lines: Sequence[Line], fields: Sequence[WantedField]) -> list[Reading]:
    """At most one reading for each field, in the order of the fields."""
    found = find_labelled(lines, fields)
    missing = [field for field in fields if field.id not in found]
    found |= find_alone(lines[:MAX_LINES], missing, {each.text for each in found.values()})
    return [show(lines, field, found[field.id]) for field in fields if field.id in found]


def show(lines: Sequence[Line], field: WantedField, found: Found) -> Reading:
    return Reading(
        field_id=field.id,
        value=found.text,
        extracted=found.text,
        count=sum(line.text.count(found.text) for line in lines),
        page_number=found.page,
        algorithm=ALGORITHM,
        confidence=found.confidence,
    )


def find_labelled(lines: Sequence[Line], fields: Sequence[WantedField]) -> dict[str, Found]:
    """What stands behind or below labels; a label with which a line or column begins counts more than others."""
    patterns = [(field, pattern) for field in fields if (pattern := label_of(field.name)) is not None]
    labels: dict[str, list[Label]] = {}
    for place, line in enumerate(lines):
        for label in labels_in(place, line.text, patterns):
            labels.setdefault(label.field.id, []).append(label)
    found = {}
    for field_id, places in labels.items():
        places.sort(key=lambda label: not begins_chunk(lines[label.place].text, label.start))
        one = next(filter(None, (value_at(lines, label) for label in places[:MAX_PLACES])), None)
        if one is not None:
            found[field_id] = one
    return found


def label_of(name: str) -> re.Pattern[str] | None:
    """What finds the name of a field, however its words are joined; None where it has none."""
    words = re.findall(r"[^\W_]+", name)
    return re.compile(rf"(?<!\w){'[^0-9a-z]{1,3}'.join(map(re.escape, words))}(?!\w)", re.IGNORECASE) if words else None


def labels_in(place: int, text: str, patterns: Iterable[tuple[WantedField, re.Pattern[str]]]) -> list[Label]:
    """The labels of a line from left to right, without those within a longer one: `VAT` in `VAT Number`."""
    found = [(match.start(), match.end(), field) for field, pattern in patterns for match in pattern.finditer(text)]
    kept: list[tuple[int, int, WantedField]] = []
    for start, end, field in sorted(found, key=lambda each: (each[0], -each[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, field))
    ends = [start for start, _, _ in kept[1:]] + [len(text)]
    return [Label(field, place, start, end, until) for (start, end, field), until in zip(kept, ends, strict=False)]


def begins_chunk(text: str, start: int) -> bool:
    """Whether nothing, or a wide gap, stands before."""
    return not text[max(start - 2, 0) : start].strip()


def value_at(lines: Sequence[Line], label: Label) -> Found | None:
    """The value of a label."""
    line = lines[label.place]
    behind = line.text[label.end : label.until].lstrip(AFTER_LABEL)
    chunks = [match.group() for match in CHUNK.finditer(behind)][:MAX_CHUNKS]
    if (text := first_valid(label.field, chunks)) is not None:
        return Found(text, line.page, BEHIND)
    below = chunks_below(lines, label)
    if not chunks and (text := first_valid(label.field, below)) is not None:
        return Found(text, line.page, BELOW)
    return None


def chunks_below(lines: Sequence[Line], label: Label) -> list[str]:
    """What the next line of the page has under the label."""
    place = label.place + 1
    if place == len(lines) or lines[place].page != lines[label.place].page:
        return []
    chunks = CHUNK.finditer(lines[place].text)
    return [match.group() for match in chunks if match.start() < label.end and match.end() > label.start]


def first_valid(field: WantedField, chunks: Sequence[str]) -> str | None:
    """The first chunk that the field takes, else the longest part of the first that has such a part."""
    parts = (part for chunk in chunks for part in parts_of(chunk.split(" ")))
    return next((text for text in chain(chunks, parts) if takes(field, text)), None)


def parts_of(tokens: Sequence[str]) -> Iterator[str]:
    """All runs of words, longer ones first, then from the left."""
    for length in range(min(len(tokens), MAX_TOKENS), 0, -1):
        for start in range(len(tokens) - length + 1):
            yield " ".join(tokens[start : start + length])


def takes(field: WantedField, text: str) -> bool:
    """Whether a text is a valid value of a field."""
    if len(text) > MAX_CANDIDATE:
        return False
    value, valid = field.check(text)
    return valid and bool(value)


def find_alone(lines: Sequence[Line], fields: Sequence[WantedField], taken: set[str]) -> dict[str, Found]:
    """What only one text of the document can be, and which only one of the fields takes."""
    kinds = Counter(kind_of(field) for field in fields)
    sole = [field for field in fields if field.validator is not None and kinds[kind_of(field)] == 1]
    found = {field.id: one for field in sole if (one := only_one(lines, field, taken)) is not None}
    claims = Counter(one.text for one in found.values())
    return {field_id: one for field_id, one in found.items() if claims[one.text] == 1}


def kind_of(field: WantedField) -> str:
    """The same for fields that take the same."""
    return repr((field.formatter, field.validator))


def only_one(lines: Sequence[Line], field: WantedField, taken: set[str]) -> Found | None:
    """The one text of the lines that a field takes; None where there are several."""
    found: Found | None = None
    for line in lines:
        for text in valid_parts(line.text, lambda text: text not in taken and takes(field, text)):
            if found is not None and found.text != text:
                return None
            found = found or Found(text, line.page, ALONE)
    return found


def valid_parts(text: str, is_valid: Callable[[str], bool]) -> Iterator[str]:
    """The runs of words that look like data and are valid, from the left, none of them within another."""
    for match in CHUNK.finditer(text):
        tokens, start = match.group().split(" "), 0
        while start < len(tokens):
            lengths = range(min(len(tokens) - start, MAX_TOKENS), 0, -1)
            runs = ((length, " ".join(tokens[start : start + length])) for length in lengths)
            length, run = next(((n, run) for n, run in runs if looks_like_data(run) and is_valid(run)), (1, ""))
            if run:
                yield run
            start += length


def looks_like_data(text: str) -> bool:
    return len(text) >= LEAST_ALONE and DATA.search(text) is not None
