"""A stream in asyncio: frames are computed in a thread, so that the event loop goes on.

python with_asyncio.py [SOURCE]: a camera (/dev/video1), video or URL; the camera 0 if it is left out.
"""

import asyncio
import contextlib
import sys

import fer_edge


async def put_events(stream: fer_edge.Stream, events: asyncio.Queue) -> None:
    """Puts all events into the queue."""
    async for result in stream:
        for event in result.events:
            await events.put(event)


async def beat() -> None:
    """Stands for all else that the program does at the same time."""
    while True:
        print("still alive", flush=True)
        await asyncio.sleep(0.2)


async def main(source: int | str) -> None:
    events: asyncio.Queue = asyncio.Queue()
    with fer_edge.Recognizer() as recognizer, fer_edge.Stream(recognizer, source) as stream:
        reader, other = asyncio.create_task(put_events(stream, events)), asyncio.create_task(beat())
        reader.add_done_callback(lambda task: events.put_nowait(None))  # also after an error
        while (event := await events.get()) is not None:
            print(f"{event.time:.1f} s: face {event.id} {event.kind} {event.label or ''}", flush=True)
        other.cancel()
        await reader  # raises what has ended the stream, such as a lost camera


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else 0))
