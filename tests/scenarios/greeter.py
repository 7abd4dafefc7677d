"""A server that speaks first, and no HTTP: what a contract that promises HTTP is wrong about. usage: greeter.py ADDRESS PORT …"""

from __future__ import annotations

import socket
import sys


def main(address: str, port: int) -> None:
    with socket.create_server((address, port)) as server:
        while True:
            taken, _ = server.accept()
            with taken:
                taken.sendall(b"220 mail.example ready\r\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
