"""Reading the logs of containers, which are plain files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_CHUNK: Final = 64 * 1024
_POLL: Final = 0.05  # only while somebody follows


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines of a file begin; a last line without an end counts."""
    with path.open("rb") as stream:
        position = stream.seek(0, 2)
        if position == 0 or lines <= 0:
            return position
        stream.seek(position - 1)
        wanted = lines + (stream.read(1) == b"\n")
        while position > 0:
            start = max(0, position - _CHUNK)
            stream.seek(start)
            block = stream.read(position - start)
            for index in range(len(block) - 1, -1, -1):
                if block[index] == 0x0A:
                    wanted -= 1
                    if wanted == 0:
                        return start + index + 1
            position = start
        return 0


async def read(path: Path, *, tail_lines: int | None, follow: Callable[[], bool] | None) -> AsyncIterator[bytes]:
    """The contents of a log in chunks; with `follow`, what is appended as long as that returns True."""
    try:
        offset = 0 if tail_lines is None else tail_offset(path, tail_lines)
        with path.open("rb") as stream:
            stream.seek(offset)
            while True:
                going_on = follow is not None and follow()  # asked first, so that the last words are not missed
                while chunk := stream.read(_CHUNK):
                    yield chunk
                if not going_on:
                    return
                await asyncio.sleep(_POLL)
    except FileNotFoundError:  # the pod was deleted
        return
