"""What people mean by the numbers and dates that they write, and whether check digits are right."""

import re
from datetime import date
from decimal import Decimal

_BLANKS = re.compile(r"[\s'’]")
_NUMBER = re.compile(r"([-+]?)([0-9][0-9.,]*|[.,][0-9]+)(-?)")
_YEAR_FIRST = re.compile(r"([0-9]{4})(?:([-./ ])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{2})([0-9]{2}))")
_YEAR_ELSEWHERE = re.compile(r"([0-9]{1,2})[-./ ]([0-9]{1,2})[-./ ]([0-9]{4}|[0-9]{2})")


class Unreadable(Exception):
    """A value that is not what it is read as."""


def read_number(text: str, decimal_sign: str = "") -> Decimal:
    """The number that a text says as people write them; raises Unreadable."""
    found = _NUMBER.fullmatch(_BLANKS.sub("", text).replace("−", "-"))
    if found is None or (found[1] and found[3]):
        raise Unreadable
    sign = decimal_sign or _decimal_sign(found[2])
    whole, _, fraction = found[2].rpartition(sign) if sign and sign in found[2] else (found[2], "", "")
    first, *groups = re.split("[.,]", whole)
    if re.search("[.,]", fraction) or any(len(group) != 3 for group in groups) or (groups and len(first) > 3):
        raise Unreadable
    if decimal_sign and decimal_sign in whole:
        raise Unreadable
    number = Decimal(f"{first or '0'}{''.join(groups)}.{fraction or '0'}")
    return -number if "-" in (found[1], found[3]) else number


def _decimal_sign(digits: str) -> str:
    """Which of `.` and `,` begins the decimals: the last one, unless it groups thousands."""
    signs: list[str] = re.findall("[.,]", digits)
    if len(set(signs)) == 2:
        return signs[-1]
    if len(signs) != 1:
        return ""
    whole, fraction = re.split("[.,]", digits)
    return "" if len(fraction) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0" else signs[0]


def read_date(text: str, order: str = "DMY") -> str:
    """The date that a text says in digits, as `YYYY-MM-DD`; years of two digits are of this century. Raises
    Unreadable."""
    text = text.strip()
    if found := _YEAR_FIRST.fullmatch(text):
        parts = {"Y": found[1], "M": found[3] or found[5], "D": found[4] or found[6]}
    elif found := _YEAR_ELSEWHERE.fullmatch(text):
        parts = dict(zip(order, found.groups(), strict=True))
    else:
        raise Unreadable
    year = int(parts["Y"])
    try:
        return date(year + 2000 * (len(parts["Y"]) <= 2), int(parts["M"]), int(parts["D"])).isoformat()
    except ValueError:
        raise Unreadable from None


def has_luhn_digit(text: str) -> bool:
    """Luhn's check digit, spaces and hyphens left out; at least two digits."""
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch("[0-9]{2,}", digits):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def has_iban_digits(text: str) -> bool:
    """ISO 7064 MOD 97-10 as in an IBAN, spaces left out."""
    compact = re.sub(r"\s", "", text).upper()
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[0-9A-Z]{1,30}", compact):
        return False
    return int("".join(str(int(each, 36)) for each in compact[4:] + compact[:4])) % 97 == 1
