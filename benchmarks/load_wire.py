"""When requests and answers were on the wire: packets of one TCP port on loopback, with the kernel's timestamps.

    python load_wire.py PORT < /dev/null     until standard input ends; then the times as JSON

It needs root (an AF_PACKET socket). The kernel stamps each packet as it passes; how late this program reads it does not
matter. Answers must fit one packet.
"""

from __future__ import annotations

import ctypes
import json
import select
import socket
import struct
import sys

ETH_P_IP = 0x0800  # asked for alone, each packet of loopback is seen once
SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 26, 33, 35
BUFFER = 64 * 1024 * 1024


def port_filter(port: int) -> bytes:
    """The classic BPF program that passes TCP over IPv4 from or to a port."""
    return b"".join(struct.pack("HBBI", *step) for step in [
        (0x30, 0, 0, 9), (0x15, 0, 6, 6),  # the protocol is TCP
        (0xB1, 0, 0, 0),  # X: the length of the IP header
        (0x48, 0, 0, 0), (0x15, 2, 0, port),  # source
        (0x48, 0, 0, 2), (0x15, 0, 1, port),  # destination
        (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
    ])


def listen(port: int) -> socket.socket:
    """Open the socket. Raises PermissionError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    program = ctypes.create_string_buffer(port_filter(port))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 9, ctypes.addressof(program)))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind(("lo", ETH_P_IP))
    sock.setblocking(False)
    return sock


class Wire:
    """The packets seen so far, as requests and answers; times in nanoseconds."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open: dict[int, int] = {}
        self.sent: list[int] = []
        self.taken: list[int] = []

    def packet(self, data: bytes, stamp: int) -> None:
        header = (data[0] & 15) * 4
        source, destination = struct.unpack_from("!HH", data, header)
        length = struct.unpack_from("!H", data, 2)[0] - header - (data[header + 12] >> 4) * 4
        if length <= 0:
            return
        if destination == self.port:
            self.open[source] = stamp
            self.sent.append(stamp)
        elif source == self.port and destination in self.open:
            self.taken.append(stamp - self.open.pop(destination))


def main() -> None:
    port = int(sys.argv[1])
    wire = Wire(port)
    with listen(port) as sock:
        print("ready", flush=True)
        while True:
            ready = select.select([sock, sys.stdin], (), ())[0]
            if sock in ready:
                try:
                    while True:
                        data, ancillary, _, _ = sock.recvmsg(128, 64)
                        wire.packet(data, _stamp(ancillary))
                except BlockingIOError:
                    pass
            elif sys.stdin in ready:
                break
    print(json.dumps({"sent": wire.sent, "taken": wire.taken}))


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
    return int(seconds * 1_000_000_000 + nanoseconds)


if __name__ == "__main__":
    main()
