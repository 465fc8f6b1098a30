"""Reading and writing dates and moments: ISO as the API takes and shows them, and the formats that people see.

Invariants: a moment is always in UTC. Source: recording `cell_values` ("date", "dt"); the accepted ISO forms are
those of Django REST Framework.
"""

import re
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

from server.store.field_types.base import CellError, Options

_BAD_DATE = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
_BAD_MOMENT = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
# ISO with the leading zeros left out, which the standard library does not read.
_SHORT_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_SHORT_MOMENT = re.compile(
    _SHORT_DATE.pattern + r"[T ]([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.,]([0-9]{1,6})[0-9]{0,6})?)?"
    r"\s*(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_DAY, _MONTH, _YEAR = "(?P<day>[0-9]{1,2})", "(?P<month>[0-9]{1,2})", "(?P<year>[0-9]{4})"
_TIME = r"(?:[T\s]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?\s*(?P<half>[AP]M)?)?"
_FORMATTED = {
    "EU": re.compile(f"{_DAY}[/.-]{_MONTH}[/.-]{_YEAR}{_TIME}", re.IGNORECASE),
    "US": re.compile(f"{_MONTH}[/.-]{_DAY}[/.-]{_YEAR}{_TIME}", re.IGNORECASE),
    "ISO": re.compile(f"{_YEAR}[/.-]{_MONTH}[/.-]{_DAY}{_TIME}", re.IGNORECASE),
}


def read_date(value: object) -> date:
    """A date from JSON. Raises CellError."""
    if not isinstance(value, str):
        raise CellError(_BAD_DATE, "invalid")
    short = _SHORT_DATE.fullmatch(value)
    try:
        return date(*map(int, short.groups())) if short else date.fromisoformat(value)
    except ValueError:
        raise CellError(_BAD_DATE, "invalid") from None


def read_moment(value: object) -> datetime:
    """A moment in UTC from JSON; a date alone is its midnight, without an offset it is UTC. Raises CellError."""
    if not isinstance(value, str):
        raise CellError(_BAD_MOMENT, "invalid")
    try:
        moment = datetime.fromisoformat(_with_leading_zeros(value))
    except ValueError:
        raise CellError(_BAD_MOMENT, "invalid") from None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise CellError("Datetime value out of range.", "overflow") from None


def shown(moment: datetime) -> str:
    """A moment in UTC as the API shows it."""
    return moment.isoformat().replace("+00:00", "Z")


def zone(options: Options) -> tzinfo:
    """The zone in which people see the field's values."""
    forced = options["date_force_timezone"]
    return ZoneInfo(str(forced)) if forced else UTC


def format_local(local: datetime, options: Options) -> str:
    """A wall clock in the format of the field: 06/05/2026 10:11."""
    year, month, day = f"{local.year:04}", f"{local.month:02}", f"{local.day:02}"
    dates = {"EU": f"{day}/{month}/{year}", "US": f"{month}/{day}/{year}", "ISO": f"{year}-{month}-{day}"}
    shown_date = dates[str(options["date_format"])]
    if not options["date_include_time"]:
        return shown_date
    return f"{shown_date} {local:%I:%M%p}" if options["date_time_format"] == "12" else f"{shown_date} {local:%H:%M}"


def read_formatted(text: str, options: Options) -> datetime | None:
    """The wall clock in a text in the format of the field, time optional; None when it is something else."""
    match = _FORMATTED[str(options["date_format"])].fullmatch(text.strip())
    if match is None:
        return None
    part = {name: int(digits) for name, digits in match.groupdict("0").items() if name != "half"}
    hour = part["hour"] if match["half"] is None else _hour(part["hour"], match["half"])
    try:
        return datetime(part["year"], part["month"], part["day"], hour, part["minute"], part["second"])
    except ValueError:
        return None


def _hour(hour: int, half: str) -> int:
    """12 AM is midnight, 12 PM noon; an hour that no such clock shows becomes one that no day has."""
    return hour % 12 + (12 if half.upper() == "PM" else 0) if 1 <= hour <= 12 else 24


def _with_leading_zeros(value: str) -> str:
    match = _SHORT_DATE.fullmatch(value) or _SHORT_MOMENT.fullmatch(value)
    if match is None:
        return value
    year, month, day, *clock = match.groups()
    if not clock:
        return f"{year}-{month:0>2}-{day:0>2}"
    hour, minute, second, fraction, offset = clock
    seconds = f"{second or '0':0>2}.{fraction or '0':0<6}"
    return f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute:0>2}:{seconds}{offset or ''}"
