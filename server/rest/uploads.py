"""Files that clients send as multipart/form-data: from the socket to the storage, in pieces.

Invariants: memory does not grow with the file; reading ends where a limit is met; whatever ends an upload before its
transaction, a refusal by it too, leaves nothing in the storage.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from aiohttp.http_exceptions import BadHttpMessage

from server.actions.files import Files, Received
from server.errors import BAD_BODY, BODY_TOO_SLOW, FILE_TOO_LARGE, TOO_MANY_UPLOADS, Refused, TooMany, Unavailable
from server.metrics import Limit, met
from server.rest.context import OPTIONS
from server.rest.file_names import clean, file_name, type_of
from server.rest.files import FILES
from server.storage.base import Upload

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
MULTIPART = "multipart/form-data"
FILE_PART = "file"
HEAD = 32  # bytes by which types are known
PIECE = 64 << 10  # bytes read at once
MAX_TEXT = 64 << 10  # bytes of all text parts
MAX_TEXTS = 100
FRAME = 1 << 20  # bytes that boundaries, heads of parts and texts may add to the files
LEAST_RATE = 1024  # bytes a second: below it a client uses up the time that it has
LONGEST = 12 * 3600.0  # seconds of one upload, whose files would expire after a day
IDENTITY = ("binary", "8bit", "7bit")
FORBIDDEN = "__proto__"  # a name that changes what an object is in JavaScript
UNREADABLE = (ValueError, AssertionError, RuntimeError, LookupError, BadHttpMessage)  # what the parser raises


@dataclass
class UploadLimits:
    """What may be uploaded, and how many uploads run just now; 0 at once means any number."""

    max_file_size: int  # bytes
    max_files: int
    max_at_once: int
    running: int = 0

    @property
    def most_bytes(self) -> int:
        """Of a whole body."""
        return self.max_files * self.max_file_size + FRAME


UPLOADS = web.AppKey("uploads", UploadLimits)


@dataclass
class Form:
    """What an upload brought; a text that came several times is a list."""

    files: list[Received] = field(default_factory=list)
    texts: dict[str, Any] = field(default_factory=dict)


def takes_files(handler: F) -> F:
    """Marks a handler whose multipart bodies may be as large as `UploadLimits` say."""
    handler.takes_files = True  # type: ignore[attr-defined]
    return handler


def most_bytes(request: web.Request) -> int:
    """How large the body may be."""
    uploads = request.content_type == MULTIPART and getattr(request.match_info.handler, "takes_files", False)
    return request.app[UPLOADS].most_bytes if uploads else request.client_max_size


class Patience:
    """How long a client is waited for: `seconds` in which nothing comes, which bytes bring back at LEAST_RATE. Only the
    client's own time counts."""

    def __init__(self, seconds: float) -> None:
        self._most = self._left = seconds
        self._end = time.monotonic() + LONGEST

    async def wait(self, reading: Coroutine[Any, Any, T]) -> T:
        """What the client sends; raises Refused when it takes too long."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._left, self._end - began)):
                return await reading
        except TimeoutError:
            met(Limit.BODY_TIME)
            raise Refused(BODY_TOO_SLOW) from None
        finally:
            self._left -= time.monotonic() - began

    def came(self, count: int) -> None:
        """Notes bytes."""
        self._left = min(self._most, self._left + count / LEAST_RATE)


@asynccontextmanager
async def received(request: web.Request, most: int | None = None) -> AsyncIterator[Form]:
    """The files and texts of an upload, for the transaction that keeps them, which runs in the block; `most` files, if
    that is fewer than the limits allow. Raises Refused or TooMany."""
    limits, patience = request.app[UPLOADS], Patience(request.app[OPTIONS].body_timeout)
    reception = Reception(request.app[FILES], limits, patience, min(most or limits.max_files, limits.max_files))
    with one_more(limits):
        try:
            await reception.read(request)
        except BaseException:
            await reception.discard()
            raise
        try:
            yield reception.form
        except Refused:  # of any other failure nobody knows whether it came before the commit: the rows will tell
            await reception.discard()
            raise


@contextmanager
def one_more(limits: UploadLimits) -> Iterator[None]:
    """Counts an upload while it runs; raises TooMany."""
    if 0 < limits.max_at_once <= limits.running:
        met(Limit.UPLOADS)
        raise TooMany(TOO_MANY_UPLOADS)
    limits.running += 1
    try:
        yield
    finally:
        limits.running -= 1


class Reception:
    """One upload on its way in."""

    def __init__(self, files: Files, limits: UploadLimits, patience: Patience, max_files: int) -> None:
        self.form = Form()
        self.limits = limits
        self.max_files = max_files
        self._files = files
        self._patience = patience
        self._begun: list[Upload] = []
        self._texts, self._text_bytes = 0, 0

    async def read(self, request: web.Request) -> None:
        """Takes in all parts; raises Refused."""
        reader = await self._wait(request.multipart())
        while (part := await self._wait(reader.next())) is not None:
            await self._take(part)
        if not self.form.files:
            raise Refused(BAD_BODY, f"The part {FILE_PART} is missing.")

    async def _take(self, part: MultipartReader | BodyPartReader) -> None:
        if not isinstance(part, BodyPartReader) or not part.name:
            raise Refused(BAD_BODY, "Each part needs a name and must be no multipart itself.")
        if part.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "binary").lower() not in IDENTITY:
            raise Refused(BAD_BODY, "The transfer encoding of a part is not supported.")
        if part.name == FILE_PART:
            await self._take_file(part)
        elif part.filename is not None:
            raise Refused(BAD_BODY, f"Files are sent in parts named {FILE_PART}.")
        else:
            await self._take_text(part, clean(part.name))

    async def _take_file(self, part: BodyPartReader) -> None:
        if len(self.form.files) == self.max_files:
            text = f"{self.max_files} files" if self.max_files > 1 else f"one {FILE_PART}"
            raise Refused(BAD_BODY, f"At most {text} can be sent at once.")
        head, size = b"", 0
        async for piece in self._pieces(part):
            if not size:
                upload = await self._begin()
            head = (head + piece[:HEAD])[:HEAD]
            size += len(piece)
            if size > self.limits.max_file_size:
                met(Limit.BODY_SIZE)
                raise Refused(FILE_TOO_LARGE, f"A file is larger than {self.limits.max_file_size} bytes.")
            await upload.write(piece)
        if not size:
            raise Refused(BAD_BODY, "The file is empty.")
        content_type = type_of(head, part.headers.get(hdrs.CONTENT_TYPE, ""))
        self.form.files.append(Received(await upload.finish(), file_name(part.filename), content_type, size))

    async def _begin(self) -> Upload:
        upload = await self._files.begin()
        self._begun.append(upload)
        return upload

    async def _take_text(self, part: BodyPartReader, name: str) -> None:
        self._texts += 1
        raw = bytearray()
        async for piece in self._pieces(part):
            raw += piece
            self._text_bytes += len(piece)
            if self._text_bytes > MAX_TEXT:
                break
        if self._text_bytes > MAX_TEXT or self._texts > MAX_TEXTS:
            raise Refused(FILE_TOO_LARGE, f"There may be {MAX_TEXTS} texts of {MAX_TEXT} bytes in all.")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise Refused(BAD_BODY, "The text must be UTF-8.") from None
        if name == FORBIDDEN:
            raise Refused(BAD_BODY, f"The name {FORBIDDEN} is not allowed.")
        before = self.form.texts.get(name)
        several = [*before, text] if isinstance(before, list) else [before, text]
        self.form.texts[name] = text if before is None else several

    async def _pieces(self, part: BodyPartReader) -> AsyncIterator[bytes]:
        while not part.at_eof():
            piece = await self._wait(part.read_chunk(PIECE))
            self._patience.came(len(piece))
            if piece:
                yield piece

    async def _wait(self, reading: Coroutine[Any, Any, T]) -> T:
        try:
            return await self._patience.wait(reading)
        except UNREADABLE as error:
            raise Refused(BAD_BODY, "The multipart body cannot be read.") from error

    async def discard(self) -> None:
        """Removes all that was stored; where that fails too, housekeeping does it after a day."""
        with suppress(Unavailable):
            for upload in self._begun:
                await upload.abort()
            await self._files.discard([upload.key for upload in self._begun])
