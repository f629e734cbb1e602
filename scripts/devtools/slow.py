"""A network that takes its time.

python -m devtools.slow TARGET_PORT MILLISECONDS listens on loopback, prints its port, and delays the target's answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass bytes on until they end, each as much later as the line is long, whatever comes after it."""
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def far_end() -> None:
        while True:
            due, data = await line.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.write_eof()
                return
            writer.write(data)

    async def near_end() -> None:
        data = b"."
        while data:
            data = await reader.read(65536)
            line.put_nowait((loop.time() + seconds, data))

    with contextlib.suppress(OSError):
        await asyncio.gather(far_end(), near_end())


async def serve(target: int, seconds: float) -> None:
    """Forward connections from a free port of 127.0.0.1 to the target port; what comes back is late."""
    running: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, there, 0), pump(back, writer, seconds))
        there.close()
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(forward(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
