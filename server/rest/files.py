"""Answers that are files: whole, or a range of their bytes.

A file is what some user sent, and is served from the origin of the API, so no browser may take it for a page of ours:
it is saved and not shown (`attachment`), its type is not guessed, it runs in a sandbox. Only raster images are shown.
"""

import logging
import re
from collections.abc import AsyncGenerator
from datetime import UTC
from email.utils import format_datetime
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import Payload, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from server.actions.files import Files, FoundFile
from server.errors import BAD_RANGE, NO_FILE, Refused, StorageUnavailable
from server.rest.failures import render
from server.rest.file_names import RASTER

FILES = web.AppKey("files", Files)
RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
NOT_ASCII = re.compile(r'[^\x20-\x7e]|["\\%]')
logger = logging.getLogger(__name__)


class Span(NamedTuple):
    """Bytes from `start` to before `end`."""

    start: int
    end: int


class FileBody(Payload):
    """Pieces of a file as the body of an answer. One that cannot be finished ends the connection, since its length was
    announced."""

    _value: AsyncGenerator[bytes, None]

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None], content_type: str) -> None:
        super().__init__(rest, content_type=content_type)
        self._first = first

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a file is not held in memory")

    async def write(self, writer: AbstractStreamWriter) -> None:
        try:
            await writer.write(self._first)
            async for piece in self._value:
                await writer.write(piece)
        except StorageUnavailable as error:
            logger.warning("a file ends early: %s", error)
            raise ConnectionResetError from error
        finally:
            await self._value.aclose()


async def send_file(request: web.Request, file: FoundFile, *, ranges: bool) -> web.Response:
    """The answer that is a file; with `ranges` the part of it that the client asks for. Several ranges at once are
    answered with the whole. Raises Refused when there is no such file in the storage."""
    headers = file_headers(file)
    if headers[hdrs.ETAG] in named_tags(request.headers.get(hdrs.IF_NONE_MATCH, "")):
        return web.Response(status=304, headers={name: headers[name] for name in (hdrs.ETAG, hdrs.LAST_MODIFIED)})
    span, status = Span(0, file.size), 200
    if ranges:
        headers[hdrs.ACCEPT_RANGES] = "bytes"
        wanted = wanted_span(request, headers, file.size)
        if wanted is not None and wanted.start >= file.size:
            nothing = {hdrs.CONTENT_RANGE: f"bytes */{file.size}"}
            return render(request, BAD_RANGE.status, BAD_RANGE.code, BAD_RANGE.detail, **nothing)
        if wanted is not None:
            span, status = wanted, 206
            headers[hdrs.CONTENT_RANGE] = f"bytes {span.start}-{span.end - 1}/{file.size}"
    headers[hdrs.CONTENT_LENGTH] = str(span.end - span.start)
    body = None if request.method == hdrs.METH_HEAD else await open_body(request.app[FILES], file, span)
    return web.Response(body=body, status=status, headers=headers)


def file_headers(file: FoundFile) -> dict[str, str]:
    """What is said of a file however much of it is sent. What an id names never changes."""
    shown = "inline" if file.content_type in RASTER else "attachment"
    ascii_name = NOT_ASCII.sub("_", file.name)
    return {
        hdrs.CONTENT_TYPE: file.content_type,
        hdrs.CONTENT_DISPOSITION: f"{shown}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(file.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
        hdrs.ETAG: f'"{file.id}"',
        hdrs.LAST_MODIFIED: format_datetime(file.created_at.replace(tzinfo=UTC, microsecond=0), usegmt=True),
        hdrs.CACHE_CONTROL: "private, no-cache",
    }


def named_tags(header: str) -> list[str]:
    """The tags of If-None-Match, which compares weak and strong ones alike."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def wanted_span(request: web.Request, headers: dict[str, str], size: int) -> Span | None:
    """The bytes that the client asks for; None for all of them. They may lie behind its end."""
    condition = request.headers.get(hdrs.IF_RANGE)
    if condition is not None and condition not in (headers[hdrs.ETAG], headers[hdrs.LAST_MODIFIED]):
        return None
    asked = RANGE.fullmatch(request.headers.get(hdrs.RANGE, ""))
    if asked is None or request.method == hdrs.METH_HEAD or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(size - int(last), 0)
    return Span(start, min(int(last) + 1, size) if first and last else size)


async def open_body(files: Files, file: FoundFile, span: Span) -> FileBody:
    """The body, whose first piece is there already: failures until then are answered as failures."""
    pieces = files.read(file, *span)
    try:
        return FileBody(await anext(pieces), pieces, file.content_type)
    except FileNotFoundError:
        logger.error("the storage has no file %s", file.key)
        raise Refused(NO_FILE) from None
