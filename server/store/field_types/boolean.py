"""Field type `boolean`: true or false, never null."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from server.store.field_types import checks
from server.store.field_types.base import Cell, Dialect, FieldType, Option, Options


@dataclass(frozen=True)
class BooleanType(FieldType):
    """A check box."""

    name: ClassVar[str] = "boolean"
    options: ClassVar[Mapping[str, Option]] = {"boolean_default": Option(False, checks.boolean)}

    def sql_type(self, options: Options, dialect: Dialect) -> str:
        return "INTEGER" if dialect == "sqlite" else "BOOLEAN"

    def parse(self, value: object, options: Options) -> Cell:
        return checks.boolean(value)

    def to_column(self, cell: Cell, options: Options, dialect: Dialect) -> Any:
        return int(bool(cell)) if dialect == "sqlite" else bool(cell)

    def from_column(self, value: Any, options: Options, dialect: Dialect) -> Cell:
        return bool(value)

    def empty(self, options: Options) -> Cell:
        return bool(options["boolean_default"])

    def blank(self) -> Cell:
        return False

    def as_text(self, cell: Cell, options: Options) -> str | None:
        return "true" if cell else "false"

    def from_text(self, text: str | None, options: Options) -> Cell:
        return text is not None and checks.reads_as_true(text)

    def search_text(self, cell: Cell, options: Options) -> str:
        return ""
