"""Field types `text` and `long_text`: any string, or null.

Strings lose the white space around them, as in the original.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from server.store.field_types import checks
from server.store.field_types.base import Cell, Dialect, FieldType, Option, Options


@dataclass(frozen=True)
class _AnyText(FieldType):
    def sql_type(self, options: Options, dialect: Dialect) -> str:
        return "TEXT"

    def parse(self, value: object, options: Options) -> Cell:
        return None if value is None else checks.text(value)

    def to_column(self, cell: Cell, options: Options, dialect: Dialect) -> Any:
        return cell

    def from_column(self, value: Any, options: Options, dialect: Dialect) -> Cell:
        return None if value is None else str(value)

    def blank(self) -> Cell:
        return ""

    def as_text(self, cell: Cell, options: Options) -> str | None:
        return None if cell is None else str(cell)

    def from_text(self, text: str | None, options: Options) -> Cell:
        return text


@dataclass(frozen=True)
class TextType(_AnyText):
    """One line of text, with a default; an empty default means null."""

    name: ClassVar[str] = "text"
    options: ClassVar[Mapping[str, Option]] = {"text_default": Option("", checks.short_text(255))}

    def empty(self, options: Options) -> Cell:
        default = options["text_default"]
        return str(default) if default else None


@dataclass(frozen=True)
class LongTextType(_AnyText):
    """Several lines of text, possibly Markdown."""

    name: ClassVar[str] = "long_text"
    options: ClassVar[Mapping[str, Option]] = {"long_text_enable_rich_text": Option(False, checks.nullable_boolean)}
    history_options = ("long_text_enable_rich_text",)
