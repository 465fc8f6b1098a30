"""Field type `date`: a calendar date, or a moment in UTC when the field includes the time; or null.

Cells: "2026-05-06", "2026-05-06T10:11:12Z" (microseconds only when there are some). SQLite keeps moments with all six
decimals, because "…12Z" would sort after "…12.5Z".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from server.store.field_types import checks
from server.store.field_types.base import Cell, CellError, Dialect, FieldType, Option, Options
from server.store.field_types.dates import (
    format_local,
    read_date,
    read_formatted,
    read_moment,
    shown,
    zone,
)


@dataclass(frozen=True)
class DateType(FieldType):
    """A date, with or without a time; `date_force_timezone` is the zone in which people see it."""

    name: ClassVar[str] = "date"
    options: ClassVar[Mapping[str, Option]] = {
        "date_format": Option("EU", checks.choice("EU", "US", "ISO")),
        "date_include_time": Option(False, checks.boolean),
        "date_time_format": Option("24", checks.choice("24", "12")),
        "date_show_tzinfo": Option(False, checks.boolean),
        "date_force_timezone": Option(None, checks.time_zone),
    }
    history_options = (
        "date_format",
        "date_show_tzinfo",
        "date_time_format",
        "date_include_time",
        "date_force_timezone",
    )

    def sql_type(self, options: Options, dialect: Dialect) -> str:
        if dialect == "sqlite":
            return "TEXT"
        return "TIMESTAMPTZ" if options["date_include_time"] else "DATE"

    def parse(self, value: object, options: Options) -> Cell:
        if value is None:
            return None
        return shown(read_moment(value)) if options["date_include_time"] else read_date(value).isoformat()

    def to_column(self, cell: Cell, options: Options, dialect: Dialect) -> Any:
        if cell is None:
            return None
        if not options["date_include_time"]:
            return cell if dialect == "sqlite" else date.fromisoformat(str(cell))
        moment = datetime.fromisoformat(str(cell))
        return _fixed_width(moment) if dialect == "sqlite" else moment

    def from_column(self, value: Any, options: Options, dialect: Dialect) -> Cell:
        if value is None:
            return None
        if not options["date_include_time"]:
            return str(value) if dialect == "sqlite" else value.isoformat()
        moment = datetime.fromisoformat(value) if dialect == "sqlite" else value
        return shown(moment.astimezone(UTC))

    def as_text(self, cell: Cell, options: Options) -> str | None:
        return None if cell is None else format_local(_local(str(cell), options), options)

    def from_text(self, text: str | None, options: Options) -> Cell:
        if text is None:
            return None
        local = read_formatted(text, options) or _local_from_iso(text, options)
        return None if local is None else _from_local(local, options)

    def adapt(self, cell: Cell, from_options: Options, options: Options) -> Cell:
        if cell is None or from_options["date_include_time"] == options["date_include_time"]:
            return cell
        return _from_local(_local(str(cell), from_options), options)


def _fixed_width(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _local(cell: str, options: Options) -> datetime:
    """The wall clock of a cell in the field's zone, without zone."""
    if not options["date_include_time"]:
        return datetime.combine(date.fromisoformat(cell), time.min)
    return _wall_clock(datetime.fromisoformat(cell), options)


def _wall_clock(moment: datetime, options: Options) -> datetime:
    try:
        return moment.astimezone(zone(options)).replace(tzinfo=None)
    except OverflowError:  # the first or last day there is, in a zone where it is another one
        return moment.replace(tzinfo=None)


def _local_from_iso(text: str, options: Options) -> datetime | None:
    try:
        return _wall_clock(read_moment(text.strip()), options)
    except CellError:
        return None


def _from_local(local: datetime, options: Options) -> Cell:
    if not options["date_include_time"]:
        return local.date().isoformat()
    try:
        return shown(local.replace(tzinfo=zone(options)).astimezone(UTC))
    except OverflowError:
        return None
