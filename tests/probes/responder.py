"""A stand-in for a service: answers UDP probes or HTTP requests with a name. Knows nothing of the probes but bytes.

usage: responder.py udp ADDRESS PORT NAME [every=N corrupt[=BYTE]|badsum|twice|drop|delay=S]
       responder.py http ADDRESS PORT NAME[,NAME...] [reset]
SIGUSR1 moves on to the next name; the name 503 is an error page without a name; with `reset`, connections end by reset.
NAME+close: announces the end of the connection and ends it. NAME+fin: ends it without a word. NAME+eof: an answer without
a length, which ends with the connection. NAME+cut: announces the end and ends before the answer does.
SIGUSR2: a time-out page that nobody asked for, on every connection, and its end.
"""

from __future__ import annotations

import select
import signal
import socket
import struct
import sys
import time


def udp(address: str, port: int, name: bytes, every: int, what: str) -> None:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((address, port))
    held: list[tuple[float, bytes, tuple[str, int]]] = []
    print("listening", flush=True)
    count = 0
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        if wait == 0.0:
            _, late, asker = held.pop(0)
            sock.sendto(late, asker)
            continue
        if not select.select([sock], [], [], wait)[0]:
            continue
        data, to = sock.recvfrom(2048)
        count += 1
        answer = data + name
        if every and count % every == 0:
            if what == "drop":
                continue
            if what == "twice":
                sock.sendto(answer, to)
            if what.startswith("corrupt"):
                at = int(what.partition("=")[2] or 30)
                answer = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
            if what == "badsum":
                with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
                    raw.bind((address, 0))
                    head = struct.pack("!4H", port, to[1], 8 + len(answer), 0x1234)  # whose sum is right once in 65,536
                    raw.sendto(head + answer, (to[0], 0))
                continue
            if what.startswith("delay="):
                held.append((time.monotonic() + float(what[6:]), answer, to))
                continue
        sock.sendto(answer, to)


def http(address: str, port: int, names: list[bytes], reset: bool) -> None:
    def move_on(*_: object) -> None:
        names.pop(0)

    def time_out(*_: object) -> None:
        for peer, _got in peers.values():
            peer.sendall(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)

    peers: dict[int, tuple[socket.socket, bytes]] = {}
    signal.signal(signal.SIGUSR1, move_on)
    signal.signal(signal.SIGUSR2, time_out)
    listener = socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=128
    )
    print("listening", flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                peer, _ = listener.accept()
                if reset:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peers[peer.fileno()] = (peer, b"")
                poll.register(peer, select.EPOLLIN)
                continue
            peer, got = peers[fd]
            try:
                data = peer.recv(4096)
                got += data
                while b"\r\n\r\n" in got:
                    _, got = got.split(b"\r\n\r\n", 1)
                    name, _, end = names[0].partition(b"+")
                    peer.sendall(page(name, end))
                    if end:
                        data = b""
            except OSError:
                data = b""
            if not data:
                poll.unregister(peer)
                del peers[fd]
                peer.close()
                continue
            peers[fd] = (peer, got)


def page(name: bytes, end: bytes) -> bytes:
    if name == b"503":
        return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nX-Backend: " + name + b"\r\n"
    if end in (b"close", b"eof", b"cut"):
        head += b"Connection: close\r\n"
    if end != b"eof":
        head += b"Content-Length: 99\r\n" if end == b"cut" else b"Content-Length: 2\r\n"
    return head + b"\r\nok"


if __name__ == "__main__":
    kind, address, port, name = sys.argv[1:5]
    if kind == "http":
        http(address, int(port), name.encode().split(b","), "reset" in sys.argv[5:])
    else:
        every, what = (int(sys.argv[5].removeprefix("every=")), sys.argv[6]) if len(sys.argv) > 5 else (0, "")
        udp(address, int(port), name.encode(), every, what)
