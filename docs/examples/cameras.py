"""Several cameras on one Recognizer: each has its turn, and the faces of a turn are read together.

python cameras.py NAME=SOURCE ...: cameras, videos or URLs.
"""

import logging
import sys

import fer_edge
from fer_edge.stream import StreamGroup


def watch(group: StreamGroup) -> None:
    """Prints the events of all cameras, until all have ended. A lost one does not end the others."""
    while True:
        try:
            for name, result in group:
                for event in result.events:
                    print(f"{name} {event.time:.1f} s: face {event.id} {event.kind} {event.label or ''}")
            break
        except (ConnectionError, TimeoutError) as error:
            logging.warning("%s", error)


if __name__ == "__main__":
    sources = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with fer_edge.Recognizer() as recognizer:
        streams = {
            name: fer_edge.Stream(recognizer, int(source) if source.isdecimal() else source)
            for name, source in sources.items()
        }
        with StreamGroup(streams) as group:
            watch(group)
            for name, info in group.info().items():
                print(f"{name}: {info['source']['frames']} frames, {info['source']['dropped']} dropped")
