"""What can go wrong with the sandbox itself, as opposed to what runs in it."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot start or go on; the message says what to do."""
