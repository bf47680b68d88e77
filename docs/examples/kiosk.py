"""A kiosk: greets whoever comes, thanks whoever smiles, and returns to its start page.

python kiosk.py [SOURCE]: a camera (/dev/video1), video or URL; the camera 0 if it is left out.
"""

import logging
import sys
import time
from collections.abc import Callable

import fer_edge


def serve(recognizer: fer_edge.Recognizer, source: int | str, show: Callable[[str], None]) -> None:
    """Runs until a video ends; raises if a camera is lost for a minute, or hangs."""
    visitors: set[int] = set()
    with fer_edge.Stream(recognizer, source, budget_ms=40) as stream:
        for result in stream:
            for event in result.events:
                if event.kind == "appeared":
                    visitors.add(event.id)
                    show("Hello!")
                elif event.kind == "expression_entered" and event.label == "happiness":
                    show("Thank you for your smile!")
                elif event.kind == "disappeared":
                    visitors.discard(event.id)
                    if not visitors:
                        show("Touch to start")


if __name__ == "__main__":
    recognizer = fer_edge.Recognizer()
    while True:
        try:
            serve(recognizer, sys.argv[1] if len(sys.argv) > 1 else 0, show=print)  # your screen
            break
        except (ConnectionError, TimeoutError) as error:
            logging.warning("%s; next attempt in 5 s", error)
            time.sleep(5)
