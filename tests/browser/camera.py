"""A camera with an HTTP address that shows a made video, and can be unplugged."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import cv2

from benchmarks.streaming.made_video import Actor, sway, video

FPS = 15.0


@cache
def frames() -> tuple[bytes, ...]:
    """Four seconds of two faces, as JPEG; the end joins the beginning."""
    actors = [Actor(sway(200, 240, 130)), Actor(sway(450, 230, 100, phase=2.0), mirrored=True)]
    return tuple(cv2.imencode(".jpg", frame)[1].tobytes() for _, frame, _ in video(actors, 4.0, FPS))


class Camera:
    """Serves http://127.0.0.1:PORT/camera.mjpg while it is plugged in; the port stays the same."""

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self._pictures = pictures
        self._port = 0
        self._is_plugged = False
        self.plug_in()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._port}/camera.mjpg"

    def plug_in(self) -> None:
        """Starts the camera."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            """Sends the video until the camera is unplugged or the reader goes away."""

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with suppress(OSError):
                    camera._send(self)

            def log_message(self, format: str, *arguments: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self._is_plugged = True
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _send(self, handler: BaseHTTPRequestHandler) -> None:
        number = 0
        while self._is_plugged:
            data = self._pictures[number % len(self._pictures)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")
            number += 1
            time.sleep(1 / FPS)

    def unplug(self) -> None:
        """Ends the camera; who reads it gets the end of the file, and nobody answers."""
        self._is_plugged = False
        self._server.shutdown()
        self._server.server_close()
