"""What every field type of the database API offers, and the two ways in which input can be wrong.

Invariants: types are pure and without state, one instance each. A *cell* is the JSON value exactly as the API shows
it; a *column value* is what the database driver takes and gives. `parse` makes cells from anything a client may send,
everything else takes cells for granted. Source: contract database.md, recordings `cell_values` and `fields`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Cell = str | bool | None
OptionValue = str | int | bool | None
Options = Mapping[str, OptionValue]
Dialect = Literal["sqlite", "postgres"]


class CellError(Exception):
    """A value that was refused, with the text and code that the API answers."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text, code)
        self.text = text
        self.code = code

    def detail(self) -> dict[str, str]:
        """The JSON form of one error."""
        return {"error": self.text, "code": self.code}


class OptionsError(Exception):
    """Options of a field that were refused: option name -> what is wrong with it."""

    def __init__(self, errors: dict[str, list[CellError]]) -> None:
        super().__init__(errors)
        self.errors = errors

    def detail(self) -> dict[str, list[dict[str, str]]]:
        """The `detail` of ERROR_REQUEST_BODY_VALIDATION."""
        return {name: [error.detail() for error in errors] for name, errors in self.errors.items()}


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a field: its value when none is given, and how input becomes a value (raises CellError)."""

    default: OptionValue
    parse: Callable[[object], OptionValue]


@dataclass(frozen=True)
class FieldType(ABC):
    """One type of field; `options` is in the order in which field objects show their keys."""

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Option]] = {}
    # Shortest key first, as recorded: the original keeps the history as jsonb, which sorts so.
    history_options: ClassVar[tuple[str, ...]] = ()

    def parse_options(self, given: Mapping[str, object], current: Options | None) -> dict[str, OptionValue]:
        """All options of a field: what is given (keys of other types are ignored) over `current`, or the defaults.

        `current` is None for a new field and when the type changes. Raises OptionsError naming every wrong option.
        """
        before = {name: option.default for name, option in self.options.items()} if current is None else current
        values: dict[str, OptionValue] = {}
        errors: dict[str, list[CellError]] = {}
        for name, option in self.options.items():
            try:
                values[name] = option.parse(given[name]) if name in given else before[name]
            except CellError as error:
                errors[name] = [error]
        if errors:
            raise OptionsError(errors)
        return values

    @abstractmethod
    def sql_type(self, options: Options, dialect: Dialect) -> str:
        """The type of the column."""

    @abstractmethod
    def parse(self, value: object, options: Options) -> Cell:
        """The cell for a value from a request body. Raises CellError."""

    @abstractmethod
    def to_column(self, cell: Cell, options: Options, dialect: Dialect) -> Any:
        """The value for the database driver."""

    @abstractmethod
    def from_column(self, value: Any, options: Options, dialect: Dialect) -> Cell:
        """The cell for a value that the database driver gave."""

    def empty(self, options: Options) -> Cell:
        """The cell of a row created without a value, and of the rows that a new field finds in its table."""
        return None

    def blank(self) -> Cell:
        """The cell of a row that comes with a new table, where nothing was given for it."""
        return None

    @abstractmethod
    def as_text(self, cell: Cell, options: Options) -> str | None:
        """The cell as people read it; what a conversion to another type starts from."""

    @abstractmethod
    def from_text(self, text: str | None, options: Options) -> Cell:
        """The cell nearest to a text that was not made for this field; the cell for "nothing" when none fits."""

    def search_text(self, cell: Cell, options: Options) -> str:
        """What `?search=` looks at; empty when the type cannot be searched."""
        return self.as_text(cell, options) or ""

    def history_metadata(self, field_id: int, options: Options) -> dict[str, OptionValue]:
        """The entry of this field in the `fields_metadata` of a row history entry."""
        shown = {name: options[name] for name in self.history_options}
        return {"id": field_id, "type": self.name, **shown}

    def convert(self, cell: Cell, from_type: "FieldType", from_options: Options, options: Options) -> Cell:
        """The cell after the field's type or options changed; what does not fit is lost, never an error."""
        if from_type.name == self.name:
            return self.adapt(cell, from_options, options)
        return self.from_text(from_type.as_text(cell, from_options), options)

    def adapt(self, cell: Cell, from_options: Options, options: Options) -> Cell:
        """The cell after the options of the field changed."""
        return cell
