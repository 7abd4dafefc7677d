"""A service that says what it hears, byte for byte. usage: mirror.py ADDRESS PORT"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while heard := await reader.read(65536):
            writer.write(heard)
            await writer.drain()
        writer.close()


async def main(address: str, port: int) -> None:
    await asyncio.start_server(answer, address, port, backlog=1024)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
