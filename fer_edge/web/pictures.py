"""Annotates and encodes the newest frame in a thread of its own, when a viewer waits for one.

All viewers get the same bytes. While nobody waits, a frame costs the exchange of one reference.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fer_edge.arrays import U8
from fer_edge.draw import Annotator, annotate
from fer_edge.installation.import_opencv import opencv
from fer_edge.stages.image import Layout

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamFace, StreamResult

# A larger picture would cost the network more than the page could show.
MAX_SIDE_PX = 1280
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """An annotated frame.

    Attributes:
        number: rises by one with each frame of the stream, from 1.
        jpeg: the picture.
        faces: the faces in it, as JSON types.
    """

    number: int
    jpeg: bytes
    faces: list[dict[str, Any]]


class PictureMaker:
    """Makes a Picture of the newest frame each time that one is wanted.

    Args:
        layout: of the frames, as for fer_edge.draw.annotate.

    Raises:
        ImportError: OpenCV is missing.
    """

    def __init__(self, layout: Layout | None) -> None:
        opencv()
        self._layout = layout
        # The page has charts of its own.
        self._annotate = Annotator(charts=False)
        self._changed = threading.Condition()
        self._newest: StreamResult | None = None
        self._offered = self._encoded = self._made = 0
        self._wanted = self._closed = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self, publish: Callable[[Picture], None]) -> None:
        """Starts the thread; `publish` takes each picture, in this thread."""
        self._thread = threading.Thread(
            target=self._run, args=(publish,), name="fer_edge-pictures", daemon=True
        )
        self._thread.start()

    @property
    def made(self) -> int:
        """How many pictures were encoded."""
        return self._made

    def offer(self, result: "StreamResult") -> None:
        """Replaces the newest frame; never waits for a picture.

        Raises:
            RuntimeError: an earlier frame could not be drawn.
        """
        with self._changed:
            if self._error is not None:
                raise RuntimeError("the live page could not draw a frame") from self._error
            self._newest = result
            self._offered += 1
            if self._wanted:
                self._changed.notify()

    def want(self, after: int) -> None:
        """Asks for a picture with a number above `after`."""
        with self._changed:
            # A newer one that is being made will do.
            if after >= self._encoded:
                self._wanted = True
                self._changed.notify()

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._closed, self._newest = True, None
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self, publish: Callable[[Picture], None]) -> None:
        try:
            while (taken := self._take()) is not None:
                number, result = taken
                picture = self._picture_from_result(number, result)
                self._made += 1
                publish(picture)
        except Exception as error:  # noqa: BLE001 (`offer` raises it in the thread of the stream)
            with self._changed:
                self._error = error

    def _take(self) -> "tuple[int, StreamResult] | None":
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._wanted and self._offered > self._encoded))
            if self._closed or self._newest is None:
                return None
            self._wanted, self._encoded = False, self._offered
            return self._encoded, self._newest

    def _picture_from_result(self, number: int, result: "StreamResult") -> Picture:
        assert result.frame is not None  # see LivePage.frame
        canvas, scale = _reduced(annotate(result.frame, (), layout=self._layout))
        self._annotate(canvas, [_scaled(face, scale) for face in result.faces], out=canvas)
        cv2 = opencv()
        _, data = cv2.imencode(".jpg", canvas, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        return Picture(number, data.tobytes(), [_face_to_dict(face) for face in result.faces])


def _reduced(canvas: U8) -> tuple[U8, float]:
    """The picture with at most MAX_SIDE_PX on a side, and its scale."""
    scale = min(1.0, MAX_SIDE_PX / max(canvas.shape[:2]))
    if scale == 1.0:
        return canvas, scale
    cv2 = opencv()
    small: U8 = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small, scale


def _scaled(face: "StreamFace", scale: float) -> "StreamFace":
    x0, y0, x1, y1 = face.box
    landmarks = tuple((x * scale, y * scale) for x, y in face.landmarks)
    return replace(face, box=(x0 * scale, y0 * scale, x1 * scale, y1 * scale), landmarks=landmarks)


def _face_to_dict(face: "StreamFace") -> dict[str, Any]:
    return {
        "id": face.id,
        "label": face.label,
        "confidence": round(face.confidence, 3),
        "probabilities": [round(share, 3) for share in face.probabilities.values()],
        "abstains": face.abstain_reason,
    }
