"""The frames of EndToEnd: drawn, or of the user's video or picture, all in memory before the time starts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_edge.arrays import U8
from fer_edge.benchmark.work.drawn_face import frame_with_faces, moving_places

SECONDS, FPS = 1.0, 30.0  # of a drawn video, and the rate of a picture
MAX_FRAMES = 300  # of a video, because all of them are in memory


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames uint8 [H, W, 3] BGR of one size, and a name that says what they show."""

    name: str
    frames: Sequence[U8]
    fps: float

    def endless(self) -> Iterator[tuple[float, U8]]:
        """Yields (time in seconds, frame): forwards and backwards in turn, so that there is no jump."""
        count = len(self.frames)
        order = [*range(count), *range(count - 2, 0, -1)]
        number = 0
        while True:
            yield number / self.fps, self.frames[order[number % len(order)]]
            number += 1


def drawn_clip(faces: int, width: int, height: int) -> Clip:
    """A second of a video with this many moving faces."""
    frames = []
    for number in range(round(SECONDS * FPS)):
        grey = frame_with_faces(height, width, moving_places(faces, height, width, number / FPS), seed=number)
        frames.append(np.repeat(grey[..., None], 3, axis=2))
    return Clip(f"{width}x{height}, {faces} face{'s' * (faces != 1)}", frames, FPS)


def clip_from_video(path: Path) -> Clip:
    """The first frames of a video, at its mean rate; raises OSError if it is missing or no video."""
    from fer_edge.stream.sources.video import VideoCapture

    if not path.is_file():
        raise FileNotFoundError(f"--video {path} is no file")
    capture = VideoCapture(str(path), "file")
    frames: list[U8] = []
    times: list[float] = []
    while len(frames) < MAX_FRAMES and (frame := capture.read()) is not None:
        frames.append(frame.pixels)
        times.append(frame.time or 0.0)
    capture.close()
    if not frames:
        raise OSError(f"--video {path} has no frame")
    height, width = frames[0].shape[:2]
    duration = times[-1] - times[0]
    fps = (len(frames) - 1) / duration if duration > 0 else FPS
    return Clip(f"{path.name}, {width}x{height}", frames, fps)


def clip_from_photo(path: Path) -> Clip:
    """A picture, as a video that stands still; raises OSError or ValueError if it cannot be read."""
    # Imported here, because it needs the command line's module of arguments, which imports this one.
    from fer_edge.pictures.read_picture import read_picture

    try:
        pixels = read_picture(path).pixels
    except ValueError as error:
        raise ValueError(f"--photo {path} {error}") from error
    height, width = pixels.shape[:2]
    return Clip(f"{path.name}, {width}x{height}", [pixels], FPS)
