"""What is said of a file that a client sends: its name and its type, neither of which is believed."""

import re

MAX_NAME = 255  # characters
UNNAMED = "file"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
ANY_TYPE = "application/octet-stream"
PDF = "application/pdf"
MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
RASTER = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "image/avif": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
}


def clean(text: str) -> str:
    """A text of a head without what nobody can print."""
    return UNPRINTABLE.sub("", text)


def file_name(given: str | None) -> str:
    """The name that the client gave a file, without directories; nothing is ever opened by it."""
    last = re.split(r"[/\\]", clean(given or ""))[-1].strip()
    return last[:MAX_NAME] if last.strip(".") else UNNAMED


def type_of(head: bytes, claimed: str) -> str:
    """The type of a file: that of a raster image by its first bytes, otherwise what its sender says, unless that is
    such an image. So whoever is served a raster image gets one. Of a PDF whose sender says nothing it is told too."""
    for name, pattern in RASTER.items():
        if pattern.match(head):
            return name
    said = claimed.partition(";")[0].strip().lower()
    if MIME_TYPE.fullmatch(said) and said not in RASTER and said != ANY_TYPE:
        return said
    return PDF if head.startswith(b"%PDF-") else ANY_TYPE
