"""A stand-in for a service without HTTP: its answer depends on the line it is sent alone. Knows nothing of the probes but bytes.

usage: teller.py ADDRESS PORT [greet]
greet: speaks first. Every connection then ends when its client ends it.
ping    the answer                              pieces  the answer, cut in two, 50 ms apart
late    the answer, after lines of others       twice   its beginning, and then all of it
no      another answer                          part    the answer without its last byte, then the end
end     the end at once                         reset   the answer without its last byte, then a reset
mute    not a word                              flood   64 KiB of another answer, and then the answer
edge    the answer as the last of 64 KiB        2.1     the answer, after so many seconds
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

ANSWER = b"+PO+PONG"
MOST = 65536
PIECES = {
    "ping": (ANSWER,),
    "pieces": (b"junk\r\n" + ANSWER[:4], ANSWER[4:]),
    "late": (b"hello\r\nthis is me\r\n" * 100 + ANSWER,),
    "twice": (ANSWER[:-1] + ANSWER,),
    "no": (b"-ERR unknown\r\n",),
    "part": (ANSWER[:-1],),
    "end": (),
    "reset": (ANSWER[:-1],),
    "mute": (),
    "flood": (bytes(MOST) + ANSWER,),
    "edge": (bytes(MOST - len(ANSWER)) + ANSWER,),
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greets: bool) -> None:
    with contextlib.suppress(OSError):
        word = "pieces" if greets else (await reader.readline()).decode().strip()
        if word not in PIECES:
            await asyncio.sleep(float(word))  # being slow is what it is for
        for number, piece in enumerate(PIECES.get(word, PIECES["ping"])):
            await asyncio.sleep(0.05 * number)
            writer.write(piece)
            await writer.drain()
        if word == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif word not in ("part", "end"):
            await reader.read()
        writer.close()


async def main(address: str, port: int, greets: bool) -> None:
    await asyncio.start_server(lambda r, w: answer(r, w, greets), address, port, backlog=1024)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), "greet" in sys.argv[3:]))
