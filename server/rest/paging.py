"""Pages by `limit` and `offset` or by number, with the links to their neighbours as the original writes them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from multidict import MultiMapping


def number(text: str | None, default: int) -> int:
    """A non-negative integer of a query; anything else counts as the default."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else default


def limit_offset(query: Mapping[str, str], *, default: int, most: int) -> tuple[int, int]:
    """The page asked for; a limit of 0 counts as the default, larger ones are cut."""
    return min(number(query.get("limit"), default) or default, most), number(query.get("offset"), 0)


def page_links(address: str, query: Mapping[str, str], count: int, limit: int, offset: int) -> dict[str, Any]:
    """`next` and `previous`: absolute URLs or null; parameters in alphabetical order."""

    def link(start: int) -> str:
        changed = {key: value for key, value in query.items() if key not in ("limit", "offset")}
        changed["limit"] = str(limit)
        if start > 0:
            changed["offset"] = str(start)
        return f"{address}?{urlencode(sorted(changed.items()))}"

    return {
        "next": link(offset + limit) if offset + limit < count else None,
        "previous": link(max(offset - limit, 0)) if offset > 0 else None,
    }


def numbered_links(address: str, query: MultiMapping[str], count: int, page: int, size: int) -> dict[str, Any]:
    """The same for pages addressed by `page`, counted from 1; the first one is not named in links."""

    def link(number: int) -> str:
        changed = {key: query.getall(key) for key in query}
        changed["page"] = [str(number)]
        if number == 1:
            del changed["page"]
        return f"{address}?{urlencode(sorted(changed.items()), doseq=True)}".removesuffix("?")

    return {
        "next": link(page + 1) if page * size < count else None,
        "previous": link(page - 1) if page > 1 else None,
    }
