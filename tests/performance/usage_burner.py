"""A pod that uses as much CPU time as it is told to, and says how much that was."""

from __future__ import annotations

import json
import time

from conformance.cluster import Cluster, ClusterError

NAMESPACE = "default"
PROGRAM = """
import http.server, json, os, threading, time
from urllib.parse import parse_qs, urlsplit

def spin(seconds):
    # A thread's own clock, so that several can spin at once.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

def own(seconds):
    spin(seconds / 2)
    thread = threading.Thread(target=spin, args=(seconds / 2,))
    thread.start()
    thread.join()

def forked(seconds):
    # Says on a pipe what it has used, for whoever cannot wait for it.
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = time.process_time()
        spin(seconds)
        os.write(write, str(time.process_time() - before).encode())
        os._exit(0)
    os.close(write)
    return pid, read

def child(seconds):
    pid, read = forked(seconds)
    used = float(os.read(read, 100))
    os.waitpid(pid, 0)
    os.close(read)
    return used

def orphan(seconds):
    # The process between ends at once, so that nobody in the container waits for the one that works.
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            before = time.process_time()
            spin(seconds)
            os.write(write, str(time.process_time() - before).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    used = float(os.read(read, 100))
    os.close(read)
    return used

class Handler(http.server.BaseHTTPRequestHandler):
    kept = []

    def do_POST(self):
        asked = urlsplit(self.path)
        amount = float(parse_qs(asked.query).get("amount", ["0"])[0])
        before = time.process_time()
        found = {"/own": own, "/child": child, "/orphan": orphan}.get(asked.path, lambda _: 0)(amount)
        if asked.path == "/memory":
            self.kept.append(os.urandom(int(amount)))
        if asked.path == "/die":
            os._exit(1)
        said = json.dumps({"used": time.process_time() - before + (found or 0)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


class Burner:
    """The pod, in a cluster; it has the containers `main`, which obeys, and `proxy`, which rests."""

    def __init__(self, cluster: Cluster, name: str = "burner") -> None:
        self.cluster, self.name = cluster, name
        self.object = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                {"name": "main", "image": "python", "command": ["python", "-c", PROGRAM]},
                {"name": "proxy", "image": "busybox", "command": ["sh", "-c", "exec sleep 1000"]},
            ]},
        }
        cluster.create(self.object)
        self.ask("/", within=15)

    def ask(self, path: str, *, within: float = 5.0) -> float:
        """What it says that it has used; it may have to be started first. A GET would be repeated when it fails."""
        deadline = time.monotonic() + within
        while True:
            try:
                return json.loads(self.cluster.pod_proxy(NAMESPACE, self.name, 8080, "POST", path))["used"]
            except ClusterError:
                if time.monotonic() > deadline or path != "/":
                    raise
                time.sleep(0.05)
