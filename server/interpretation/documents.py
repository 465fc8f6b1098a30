"""What an interpreter is given and what it returns: the same types for those of others and for our own.

Invariant: what they hold, the database takes and clients can read; whatever does not fit is refused where it is made,
and again where it arrives, since an interpreter runs in another process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from server.sandbox.expressions import check_value

MAX_VALUES = 1000
MAX_TEXT = 4096  # characters
MAX_INTEGER = 2**31 - 1


class Unreadable(Exception):
    """A document that cannot be interpreted; the text tells its owner why."""


@dataclass(frozen=True)
class WantedField:
    """A field of the item's workflow."""

    id: str
    name: str
    type: str  # the name of its field type
    required: bool
    formatter: Any  # prefix expressions, None for none
    validator: Any

    def check(self, text: str) -> tuple[str, bool]:
        """The value that would be kept for a text, and whether it is valid. As slow as whoever wrote the expressions
        wants it to be."""
        return check_value(self.formatter, self.validator, text)


@dataclass(frozen=True)
class Document:
    """An uploaded file; its name and its content type are what its sender said."""

    name: str
    content_type: str
    data: bytes
    fields: Sequence[WantedField]


def without_nul(text: str) -> str:
    """Raises ValueError for what PostgreSQL does not keep."""
    if "\0" in text:
        raise ValueError("null characters are not allowed")
    return text


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(without_nul)]
Label = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(without_nul)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Corner(BaseModel):
    """A point of a page, in fractions of its width from the left and of its height from the top."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Fraction
    y: Fraction


class Reading(BaseModel):
    """A value that was found for a field, in the row `column_index` where the field has one in each line item.

    `value` is formatted and validated by the server; `extracted` is what the document says, `count` how often,
    `location` the four corners around it on the page `page_number`, the first of which is 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_id: str
    value: Text
    column_index: Annotated[int, Field(ge=0, le=9999)] | None = None
    extracted: Text | None = None
    count: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 1
    page_number: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    location: Annotated[tuple[Corner, ...], Field(min_length=4, max_length=4)] | None = None
    algorithm: Label | None = None
    confidence: Fraction | None = None


class Interpretation(BaseModel):
    """What a document says; `status_messages` are texts for whoever looks at the item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: Annotated[tuple[Reading, ...], Field(max_length=MAX_VALUES)] = ()
    page_count: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    document_type: Label | None = None
    status_messages: Annotated[tuple[Text, ...], Field(max_length=100)] = ()


class Interpreter(Protocol):
    """A function, registered for a content type. It runs in a process of its own, one document at a time; raises
    Unreadable for what it cannot interpret."""

    def __call__(self, document: Document, /) -> Interpretation: ...
