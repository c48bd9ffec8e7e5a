"""Writing what others will read: files whole or not at all, and no character in them that misleads."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""What has to be spelt out: C0 but tab and line feed, DEL and C1; line separators; marks that reorder text on display
(a known way to show other text than is there); lone surrogates and what XML 1.0 cannot hold."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Put content, text as UTF-8, in a file's place in one step.

    Raises OSError, or UnicodeEncodeError for text that UTF-8 cannot hold; then the file is as it was before.
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
