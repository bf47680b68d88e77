"""A robot: its own control loop turns to the nearest face; callbacks say when an expression lasts.

python robot.py [SOURCE]: a camera (/dev/video1), video or URL; the camera 0 if it is left out.
"""

import sys
import threading
import time
from collections.abc import Callable

import fer_edge


class FaceWatch(threading.Thread):
    """Reads the stream in a thread; the control loop takes `newest`, the last result, when it likes."""

    def __init__(self, stream: fer_edge.Stream, callbacks: dict[str, Callable]) -> None:
        super().__init__(name="face-watch")
        self.newest, self.arrived = None, -1.0  # seconds of time.monotonic()
        self._stream, self._callbacks = stream, callbacks

    def run(self) -> None:
        for result in self._stream:
            self.newest, self.arrived = result, time.monotonic()  # in this order, so no lock is needed
            for event in result.events:
                self._callbacks.get(event.kind, lambda event: None)(event)


if __name__ == "__main__":
    callbacks = {"expression_entered": lambda event: print(f"face {event.id} shows {event.label}")}
    source = sys.argv[1] if len(sys.argv) > 1 else 0
    with fer_edge.Recognizer(threads=1) as recognizer, fer_edge.Stream(recognizer, source) as stream:
        watch = FaceWatch(stream, callbacks)
        watch.start()
        while watch.is_alive():  # the robot's own loop, 20 times a second
            if time.monotonic() - watch.arrived < 0.5 and watch.newest.faces:  # else the camera is lost
                nearest = max(watch.newest.faces, key=lambda face: face.box[2] - face.box[0])
                width = watch.newest.frame.shape[1]
                print(f"turn by {(nearest.box[0] + nearest.box[2]) / width - 1:+.2f}")
            time.sleep(0.05)
