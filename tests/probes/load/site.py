"""A stand-in for an HTTP service that minds its name: 200 for `Host: web.test` alone, 421 for any other.

usage: site.py ADDRESS PORT
"""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "http://elsewhere.test/")
        else:
            self.send_response(200 if self.headers["Host"] == "web.test" else 421)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may leave as they like."""


if __name__ == "__main__":
    address, port = sys.argv[1], int(sys.argv[2])
    Server.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Server((address, port), Site) as server:
        print("listening", flush=True)
        server.serve_forever()
