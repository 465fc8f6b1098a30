"""PDF documents for tests, written by hand: text in Helvetica at places of a page, and some that are not as they should
be."""

import io
import zlib
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

Placed = tuple[float, float, str]  # points from the left and from the bottom of an A4 page
WIDTH, HEIGHT, SIZE = 595, 842, 12
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def pdf(*pages: Sequence[Placed | str]) -> bytes:
    """A document of these pages; texts without a place stand below each other."""
    return assemble([content(page) for page in pages])


def content(page: Sequence[Placed | str]) -> bytes:
    placed = [each if isinstance(each, tuple) else (72, 770 - 24 * line, each) for line, each in enumerate(page)]
    return b"\n".join(
        b"BT /F1 %d Tf 1 0 0 1 %d %d Tm (%s) Tj ET" % (SIZE, x, y, escaped(text)) for x, y, text in placed
    )


def escaped(text: str) -> bytes:
    raw = text.encode("cp1252")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def assemble(contents: Sequence[bytes], *, filters: bytes = b"") -> bytes:
    """A document whose pages have these content streams, which `filters` decode."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(contents)),
        FONT,
    ]
    for number, stream in enumerate(contents):
        box = b"/MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R >> >>" % (WIDTH, HEIGHT)
        objects.append(b"<< /Type /Page /Parent 2 0 R %s /Contents %d 0 R >>" % (box, 5 + 2 * number))
        objects.append(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), filters, stream))
    return with_table(objects)


def with_table(objects: Sequence[bytes]) -> bytes:
    """The file of these objects, the first of which is its root."""
    written, places = bytearray(b"%PDF-1.7\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(written)
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    written += b"".join(b"%010d 00000 n \n" % place for place in places)
    written += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(written)


def encrypted(document: bytes, user_password: str) -> bytes:
    """The same document, to be opened with a password, or with none where that is empty."""
    writer, out = PdfWriter(clone_from=PdfReader(io.BytesIO(document))), io.BytesIO()
    writer.encrypt(user_password, "owner", algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def bomb(size: int) -> bytes:
    """A small document whose page unpacks to so many bytes of operators."""
    line = b"BT /F1 12 Tf (A) Tj ET\n"
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(line * 1000) for _ in range(size // len(line) // 1000)) + packer.flush()
    return assemble([packed], filters=b"/Filter /FlateDecode")
