"""What `python load.zip` does; it speaks lines of JSON on standard output.

- `python load.zip < command.json`: one load; progress, and as the last line the result.
- `python load.zip target ADDRESS COMMAND`: the fast server, until standard input ends; {"port"}, and for each line it
  reads {"served", "connections"}.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.performance.load.command import read_command
from conformance.performance.load.engine import Load
from conformance.performance.load.fields import CommandError
from conformance.performance.load.target import Server, read_target


def say(line: Mapping[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(line, separators=(",", ":")), flush=True)


def load() -> None:
    """Carry out the command on standard input."""
    engine = Load(read_command(json.load(sys.stdin)), report=say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: engine.stop())
    say(engine.run())


def target(address: str, command: str) -> None:
    """Serve."""
    server = Server(read_target(json.loads(command)), {"pod": "target"}, address)
    say({"port": server.port})
    server.run(sys.stdin.fileno(), sys.stdout.fileno())


def main(arguments: Sequence[str] = ()) -> int:
    """Run the program; return its exit status."""
    try:
        if not arguments:
            load()
        elif len(arguments) == 3 and arguments[0] == "target":
            target(*arguments[1:])
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (CommandError, json.JSONDecodeError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    return 0
