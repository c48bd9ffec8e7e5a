"""A server that does to each connection what a test says."""

import contextlib
import socket
import struct
import threading


class FaultyServer:
    """A TCP server whose connections are handled by a function, each in a thread; it listens on `port`.

    Connections that the function leaves open stay so until the server ends.
    """

    def __init__(self, handle, address="127.0.0.1"):
        self.handle, self.accepted = handle, 0
        self.listener = socket.create_server((address, 0), backlog=2048)
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(10)
        with contextlib.suppress(OSError):
            self.handle(sock)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.close()


@contextlib.contextmanager
def started(make):
    """Gives a function that starts the server that `make` returns for a handler; all of them end with the block."""
    servers = []

    def start(handle):
        servers.append(make(handle).__enter__())
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.__exit__()


def read_head(sock, at_once=4096):
    """What a client sent up to the end of a request's head; raises OSError at the end of the connection.

    Unless it is read one byte `at_once`, the request must not have a body.
    """
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = sock.recv(at_once)
        if not more:
            raise ConnectionError
        data += more
    return data


def reset(sock):
    """End a connection without a goodbye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
