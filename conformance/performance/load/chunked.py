"""Bodies in chunks (RFC 9112 section 7.1), in pieces of any size."""

from __future__ import annotations

LINE_LIMIT = 4096  # bytes of a chunk's size or of a trailer


class BadChunk(Exception):  # noqa: N818 - named for what was found
    """What was received is no chunked body."""


class Chunks:
    """One chunked body as it arrives; its data are counted, not kept."""

    def __init__(self) -> None:
        self.size = 0  # bytes of data so far
        self._left = 0
        self._state = "size"  # then data, end (of the chunk), and in the last place trailer
        self._line = b""

    def feed(self, data: bytes, at: int = 0) -> int:
        """Take `data` from a place on; return the place after the body, -1 when it goes on. Raises BadChunk."""
        while True:
            if self._state == "data":
                taken = min(self._left, len(data) - at)
                at += taken
                self._left -= taken
                self.size += taken
                if self._left:
                    return -1
                self._state = "end"
            end = data.find(b"\n", at)
            line = self._line + (data[at:] if end < 0 else data[at : end + 1])
            if len(line) > LINE_LIMIT:
                raise BadChunk("a chunk's line is too long")
            if end < 0:
                self._line = line
                return -1
            at, self._line = end + 1, b""
            if not line.endswith(b"\r\n"):
                raise BadChunk("a chunk's line without CR LF")
            if self._next(line[:-2]):
                return at

    def _next(self, line: bytes) -> bool:
        """Go on after a line between the data; true when it was the last."""
        if self._state == "trailer":
            return not line
        if self._state == "end":
            if line:
                raise BadChunk("a chunk longer than it says")
            self._state = "size"
            return False
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadChunk(f"chunk size {digits[:40]!r}")
        self._left = int(digits, 16)
        self._state = "data" if self._left else "trailer"
        return False
