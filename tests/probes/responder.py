"""A stand-in for a service: answers UDP probes or HTTP requests with a name. Knows nothing of the probes but bytes.

usage: responder.py udp ADDRESS PORT NAME [every=N corrupt|twice|drop|delay=S]
       responder.py http ADDRESS PORT NAME[,NAME...]    (each N requests, the next name)
"""

from __future__ import annotations

import select
import socket
import sys
import time


def udp(address: str, port: int, name: bytes, every: int, what: str) -> None:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    held: list[tuple[float, bytes, object]] = []
    print("listening", flush=True)
    count = 0
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        if held and wait == 0.0:
            _, data, to = held.pop(0)
            sock.sendto(data, to)  # type: ignore[call-overload]
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
            if what == "corrupt":
                answer = answer[:30] + bytes([answer[30] ^ 1]) + answer[31:]
            if what.startswith("delay="):
                held.append((time.monotonic() + float(what[6:]), answer, to))
                continue
        sock.sendto(answer, to)


def http(address: str, port: int, name: bytes) -> None:
    listener = socket.create_server((address, port), backlog=128)
    print("listening", flush=True)
    peers: dict[int, tuple[socket.socket, bytes]] = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                peer, _ = listener.accept()
                peers[peer.fileno()] = (peer, b"")
                poll.register(peer, select.EPOLLIN)
                continue
            peer, got = peers[fd]
            try:
                data = peer.recv(4096)
            except OSError:
                data = b""
            if not data:
                poll.unregister(peer)
                del peers[fd]
                peer.close()
                continue
            got += data
            while b"\r\n\r\n" in got:
                head, got = got.split(b"\r\n\r\n", 1)
                # GET /be/OTHER names another backend, as a stack that moved the connection's requests would
                path = head.split(b" ")[1]
                status, body = (b"503 Service Unavailable", b"") if path == b"/503" else (b"200 OK", b"ok")
                peer.sendall(
                    b"HTTP/1.1 %s\r\nX-Backend: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, name, len(body), body)
                )
            peers[fd] = (peer, got)


if __name__ == "__main__":
    kind, address, port, name = sys.argv[1:5]
    if kind == "http":
        http(address, int(port), name.encode())
    else:
        every, what = (int(sys.argv[5].removeprefix("every=")), sys.argv[6]) if len(sys.argv) > 5 else (0, "")
        udp(address, int(port), name.encode(), every, what)
