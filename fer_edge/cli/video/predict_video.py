"""The videos of `fer-edge predict`: each frame in order, an annotated copy, and a timeline of its faces."""

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from fer_edge.backends.cuda.device import DeviceError
from fer_edge.cli.pictures import message_of, shown
from fer_edge.cli.stop_signals import graceful_stop
from fer_edge.cli.video.progress import Progress
from fer_edge.cli.video.video_file import (
    UnwritableVideoError,
    VideoFile,
    facts_of_video,
    reason_of_bad_end,
)
from fer_edge.cli.video.video_report import VideoReport
from fer_edge.installation.import_opencv import opencv
from fer_edge.models import ModelError

if TYPE_CHECKING:
    from fer_edge.draw import Timeline
    from fer_edge.recognizer import Recognizer
    from fer_edge.stream import Stream


def timeline_path(copy: Path) -> Path:
    """Returns the path of the timeline beside an annotated copy."""
    return copy.with_name(f"{copy.stem}-timeline.png")


class VideoPredictor:
    """Processes videos.

    Args:
        recognizer: for all of them.
        report: takes the results.
    """

    def __init__(self, recognizer: "Recognizer", report: VideoReport) -> None:
        self._recognizer, self._report = recognizer, report

    def predict(self, path: Path, copy: Path | None) -> str | None:
        """Processes one video, and writes its annotated copy; returns what failed, or None."""
        from fer_edge.stream import Stream

        with graceful_stop(), ExitStack() as stack:
            try:
                if not path.stat().st_size:
                    return "is empty (0 bytes)"
                facts = facts_of_video(path)
                stream = stack.enter_context(Stream(self._recognizer, str(path)))
            except OSError as error:
                return _without_name(path, error)
            progress = stack.enter_context(Progress(shown(path), facts.frames))
            try:
                with nullcontext() if copy is None else VideoFile(copy, facts.fps) as video:
                    return self._follow(path, stream, video, copy, progress)
            except UnwritableVideoError as error:
                return f"{shown(copy or path)} cannot be written: {message_of(error)}"

    def _follow(
        self, path: Path, stream: "Stream", video: VideoFile | None, copy: Path | None, progress: Progress
    ) -> str | None:
        from fer_edge.draw import Annotator, Timeline

        annotate, timeline = Annotator(), Timeline(self._recognizer.labels)
        while True:
            # Only the reading, because an error of the output is none of the video.
            try:
                result = next(stream, None)
            except (OSError, TypeError, ValueError, ModelError, DeviceError) as error:
                return message_of(error)
            if result is None:
                break
            self._report.frame(path, result)
            if video is not None and result.frame is not None:
                timeline.add(result)
                video.show(annotate(result.frame, result.faces), result.time)
            progress.step()
        source = stream.info()["source"]
        reason = reason_of_bad_end(source)
        if not source["frames"]:
            return reason
        if video is not None and copy is not None:
            # First, because success is reported below.
            video.close()
            try:
                _write_timeline(timeline_path(copy), timeline)
            except OSError as error:
                return f"{shown(timeline_path(copy))} cannot be written: {message_of(error)}"
        self._report.end(path, copy, None if copy is None else timeline_path(copy))
        return reason


def _write_timeline(path: Path, timeline: "Timeline") -> None:
    # Not cv2.imwrite: see predict._write_copy.
    opencv().imencode(".png", timeline.picture())[1].tofile(path)


def _without_name(path: Path, error: OSError) -> str:
    """Returns the message of an error without the name, which the caller adds."""
    return message_of(error).removeprefix(f"{path} ")
