"""A stand-in for an HTTP/1.1 service whose answer depends on the path alone. Knows nothing of the probes but bytes.

usage: origin.py ADDRESS PORT [FILE]
FILE: key and certificate in PEM, for TLS. Every answer but those of /nameless and /garbage names the backend `be-1`.
/            with a length                         /chunked    in chunks, with an extension and a trailer
/to-the-end  until the connection's end            /shout      its header's names in capitals, after 103 Early Hints
/empty       without a body                        /large      a body of 3 MiB
/503         an error page                         /nameless   without a name
/half        half of its length, then the end      /cut-chunk  a chunk, then the end
/nothing     the end at once                       /reset      half of it, then a reset
/garbage     no HTTP                               /stuck      half of its length, then nothing more
/SECONDS     after so long
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys

NAME = b"X-Backend: be-1\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n" + NAME
HALF = HEAD + b"Content-Length: 4\r\n\r\nok"
ANSWERS = {
    "/": HEAD + b"Content-Length: 2\r\n\r\nok",
    "/chunked": HEAD
    + b"Transfer-Encoding: Chunked\r\n\r\n2;how=well\r\nok\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    "/to-the-end": HEAD + b"\r\nok, and that is all",
    "/shout": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-BACKEND:be-1\r\nCONTENT-LENGTH:   2\r\n\r\nok",
    "/empty": HEAD + b"Content-Length: 0\r\n\r\n",
    "/large": HEAD + b"Content-Length: 3145728\r\n\r\n" + bytes(3145728),
    "/503": b"HTTP/1.1 503 Service Unavailable\r\n" + NAME + b"Content-Length: 0\r\n\r\n",
    "/nameless": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/half": HALF,
    "/cut-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    "/nothing": b"",
    "/reset": HALF,
    "/garbage": b"220 mail.example ready\r\n",
    "/stuck": HALF,
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        if path not in ANSWERS:
            await asyncio.sleep(float(path[1:]))  # being slow is what it is for
        writer.write(ANSWERS.get(path, ANSWERS["/"]))
        await writer.drain()
        if path == "/reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        if path == "/stuck":
            await reader.read()
        writer.close()


async def main(address: str, port: int, certificate: str | None) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    await asyncio.start_server(answer, address, port, ssl=context, backlog=1024)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
