"""The container runtime: starting, ending, and above all cleaning up. About 3 s."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import remains

from conformance.sandbox.containers import ContainerError, Exit, Program, RuntimeClient
from conformance.sandbox.errors import SandboxError

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
FOREVER = "while :; do sleep 60; done"


@contextlib.asynccontextmanager
async def started(parent):
    client = await RuntimeClient.start(parent)
    try:
        yield client
    finally:
        await client.close()


def program(client, *argv, env=ENVIRONMENT):
    return Program(argv, env, client.directory, client.directory / "log")


def shell(client, script):
    return program(client, "sh", "-c", script)


def log_of(client):
    return (client.directory / "log").read_text()


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("exit 0", Exit(0)),
        ("exit 3", Exit(3)),
        ("kill -TERM $$", Exit(143, signal.SIGTERM)),
        ("kill -KILL $$", Exit(137, signal.SIGKILL)),
    ],
)
def test_exit_codes_are_those_of_a_shell(tmp_path, script, end):
    async def scenario():
        async with started(tmp_path) as client:
            container = await client.run(shell(client, script))
            assert await asyncio.wait_for(container.wait(), 5) == end

    asyncio.run(scenario())


def test_output_goes_to_the_log_and_only_the_given_environment_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_USER", "hunter2")

    async def scenario():
        async with started(tmp_path) as client:
            await (await client.run(shell(client, "echo out; echo err >&2; env"))).wait()
            said = log_of(client)
            assert said.startswith("out\nerr\n")
            assert "hunter2" not in said

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("no-such-program",), "'no-such-program' not found in PATH /usr/bin:/bin"),
        (("/no/such/program",), "'/no/such/program' not found"),
        (("/etc/passwd",), "'/etc/passwd' is not executable"),
        (("sh", "with\0null"), "null"),
    ],
)
def test_a_program_that_cannot_be_executed_is_an_error_in_words(tmp_path, argv, message):
    async def scenario():
        async with started(tmp_path) as client:
            with pytest.raises(ContainerError, match=message):
                await client.run(program(client, *argv))
            # and the runtime is as good as before
            assert (await (await client.run(shell(client, "exit 0"))).wait()).code == 0

    asyncio.run(scenario())


def test_a_container_ends_with_its_main_process(tmp_path):
    async def scenario():
        async with started(tmp_path) as client:
            container = await client.run(shell(client, "sleep 60 & echo $!; exit 5"))
            assert (await container.wait()).code == 5
            child = int(log_of(client))
            remains.eventually(lambda: not remains.alive(child))

    asyncio.run(scenario())


def test_sigterm_goes_to_the_main_process_and_sigkill_to_the_group(tmp_path):
    async def says(client, word):
        await asyncio.to_thread(remains.eventually, lambda: word in log_of(client))

    async def scenario():
        async with started(tmp_path) as client:
            polite = await client.run(shell(client, "trap 'exit 7' TERM; echo ready; " + FOREVER.replace("60", "0.01")))
            await says(client, "ready")
            client.signal(polite, signal.SIGTERM)
            assert await asyncio.wait_for(polite.wait(), 5) == Exit(7)
            deaf = await client.run(shell(client, "trap '' TERM; echo deaf; sleep 60 & wait; wait"))
            await says(client, "deaf")
            client.signal(deaf, signal.SIGTERM)
            await asyncio.sleep(0.1)
            assert not deaf.ended.done()
            client.kill(deaf)
            assert await asyncio.wait_for(deaf.wait(), 5) == Exit(137, signal.SIGKILL)
            client.signal(deaf, signal.SIGTERM)  # one that has ended is no error

    asyncio.run(scenario())


ESCAPES = (
    "import os, sys, time\n"
    "if os.fork(): sys.exit(0)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "print(os.getpid(), flush=True); time.sleep(60)"
)


def test_closing_leaves_nothing_not_even_a_daemon_or_a_read_only_directory(tmp_path):
    async def scenario():
        async with started(tmp_path) as client:
            await client.run(shell(client, FOREVER))
            await (await client.run(program(client, sys.executable, "-S", "-c", ESCAPES))).wait()
            lock = shell(client, "mkdir -p locked/in && touch locked/in/f && chmod 0 locked/in")
            await (await client.run(lock)).wait()
            daemon = int(await asyncio.to_thread(remains.eventually, lambda: log_of(client).strip()))
            assert remains.alive(daemon)
        assert not remains.alive(daemon)
        assert remains.processes(client.directory) == []

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_a_killed_runtime_takes_its_containers_along_and_the_client_removes_the_rest(tmp_path):
    async def scenario():
        async with started(tmp_path) as client:
            container = await client.run(shell(client, "sleep 60 & echo $!; " + FOREVER))
            grandchild = int(await asyncio.to_thread(remains.eventually, lambda: log_of(client).strip()))
            os.kill(client.pid, signal.SIGKILL)
            assert await asyncio.wait_for(container.wait(), 5) == Exit(137, signal.SIGKILL)
            await asyncio.to_thread(remains.eventually, lambda: not remains.alive(container.pid))
            assert client.lost.is_set()
            with pytest.raises(ContainerError, match="runtime is down"):
                await client.run(shell(client, "exit 0"))
        assert not remains.alive(grandchild)

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


OWNER = """
import asyncio, sys
from pathlib import Path
from conformance.sandbox.containers import Program, RuntimeClient

async def main():
    client = await RuntimeClient.start(Path(sys.argv[1]))
    env = {"PATH": "/usr/bin:/bin"}
    for script in ("while :; do sleep 60; done", "sleep 60 & wait"):
        await client.run(Program(("sh", "-c", script), env, client.directory, client.directory / "log"))
    print(client.directory, client.pid, flush=True)
    %s

asyncio.run(main())
"""


def owner(parent: Path, ending: str = "await asyncio.sleep(60)"):
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER % ending, str(parent)], stdout=subprocess.PIPE, text=True
    )
    directory, pid = process.stdout.readline().split()
    return process, Path(directory), int(pid)


def test_a_killed_owner_leaves_nothing(tmp_path):
    process, directory, runtime = owner(tmp_path)
    assert len(remains.processes(directory)) >= 2
    process.kill()
    process.wait()
    remains.eventually(lambda: not remains.alive(runtime))
    assert remains.processes(directory) == []
    assert list(tmp_path.iterdir()) == []


def test_an_owner_that_forks_and_is_killed_leaves_nothing(tmp_path):
    """The child still holds the pipe that the runtime reads."""
    process, directory, runtime = owner(tmp_path, "import os, time; os.fork(); time.sleep(3)")
    child = remains.eventually(
        lambda: [c for c in psutil.Process(process.pid).children() if c.pid != runtime]
    )
    process.kill()
    process.wait()
    try:
        remains.eventually(lambda: not remains.alive(runtime), within=2)
        assert not directory.exists()
    finally:
        child[0].kill()


def test_what_a_runtime_and_its_owner_killed_together_left_is_swept_by_the_next(tmp_path):
    process, directory, runtime = owner(tmp_path)
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot react
    os.kill(runtime, signal.SIGKILL)
    process.kill()
    process.wait()
    assert directory.exists()
    foreign = tmp_path / "mesh-conformance-notes"
    foreign.mkdir()

    async def scenario():
        async with started(tmp_path) as other, started(tmp_path):
            assert not directory.exists()
            assert other.directory.exists()  # a run that goes on is not swept
            assert foreign.exists()  # nor what is none

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_runtime_that_is_asked_to_end_cleans_up(tmp_path, number):
    async def scenario():
        async with started(tmp_path) as client:
            container = await client.run(shell(client, FOREVER))
            os.kill(client.pid, number)
            await asyncio.wait_for(client.lost.wait(), 5)
            assert not remains.alive(container.pid)
            await asyncio.to_thread(remains.eventually, lambda: not client.directory.exists())

    asyncio.run(scenario())


def test_a_directory_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    async def scenario():
        await RuntimeClient.start(tmp_path / "missing")

    with pytest.raises(SandboxError, match=r"missing: No such file or directory\. Set TMPDIR"):
        asyncio.run(scenario())


def test_a_hundred_containers_start_and_end_quickly(tmp_path):
    async def scenario():
        async with started(tmp_path) as client:
            began = time.monotonic()
            running = await asyncio.gather(*(client.run(shell(client, f"exit {i}")) for i in range(100)))
            ends = [await asyncio.wait_for(container.wait(), 10) for container in running]
            assert [end.code for end in ends] == list(range(100))
            assert time.monotonic() - began < 10

    asyncio.run(scenario())
