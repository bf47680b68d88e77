"""Output of `fer-edge predict` for videos: a summary for people, one JSON object or CSV rows a frame."""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fer_edge.cli.pictures import is_video, shown

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamResult

# Expressions that the summary of a face names.
MAX_NAMED = 3


class VideoReport(Protocol):
    """Prints the frames of videos in order, or what they add up to."""

    def frame(self, path: Path, result: "StreamResult") -> None:
        """Takes the next frame of a video."""

    def end(self, path: Path, drawn: Path | None, timeline: Path | None) -> None:
        """Takes the end of a video, and what was written for it."""


def video_report_from_options(
    options: argparse.Namespace, paths: Sequence[Path], labels: Sequence[str]
) -> VideoReport:
    """Returns the report of the options; the header of CSV is printed if there are videos."""
    if options.json:
        return JsonVideoReport()
    if options.csv and any(map(is_video, paths)):
        return CsvVideoReport(labels)
    return SummaryReport()


class NoPictures:
    """The report of pictures where all inputs are videos."""

    def picture(self, *arguments: object) -> None:
        """There are none."""

    def failure(self, path: str, message: str) -> None:
        """The message on stderr is enough."""


class JsonVideoReport:
    """One object per frame: `file`, and what StreamResult.to_dict has but the timings.

    With --draw, a last object has `file`, `drawn` and `timeline`.
    """

    def frame(self, path: Path, result: "StreamResult") -> None:
        """Prints the frame."""
        record = {"file": str(path), **result.to_dict()}
        del record["timings"]
        print(json.dumps(record))

    def end(self, path: Path, drawn: Path | None, timeline: Path | None) -> None:
        """Prints what was written."""
        if drawn is not None:
            print(json.dumps({"file": str(path), "drawn": str(drawn), "timeline": str(timeline)}))


class CsvVideoReport:
    """One row per face of a frame; a frame without faces has a row with empty fields."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        head = ["file", "frame", "time", "id", "label", "confidence", "abstain_reason", "expression", "score"]
        self._writer.writerow([*head, "x0", "y0", "x1", "y1", *labels])

    def frame(self, path: Path, result: "StreamResult") -> None:
        """Prints the rows of the frame."""
        start = [shown(path), result.index, f"{result.time:.4f}"]
        if not result.faces:
            self._writer.writerow([*start, *[""] * (10 + len(self._labels))])
        for face in result.faces:
            texts = [face.abstain_reason or "", face.expression or ""]
            numbers = [face.score, *face.box, *face.probabilities.values()]
            self._writer.writerow(
                [*start, face.id, face.label, f"{face.confidence:.4f}", *texts]
                + [f"{value:.4f}" for value in numbers]
            )

    def end(self, path: Path, drawn: Path | None, timeline: Path | None) -> None:
        """Nothing is left to print."""


@dataclass(slots=True)
class _Seen:
    """What was seen of one face: times in seconds, and frames by label without those that abstained."""

    first: float
    last: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)


class SummaryReport:
    """For each video and each of its faces: when it was seen, and how often each expression."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames = 0
        self._seen: dict[int, _Seen] = {}

    def frame(self, path: Path, result: "StreamResult") -> None:
        """Counts the frame."""
        if path != self._path:
            # The last video may have failed before its end.
            self._path, self._frames, self._seen = path, 0, {}
        self._frames += 1
        for face in result.faces:
            seen = self._seen.setdefault(face.id, _Seen(result.time))
            seen.last = result.time
            if face.abstain_reason is None:
                seen.labels[face.label] += 1

    def end(self, path: Path, drawn: Path | None, timeline: Path | None) -> None:
        """Prints the summary."""
        faces = f"{len(self._seen)} face" + ("" if len(self._seen) == 1 else "s")
        print(f"{shown(path)}: {self._frames} frames, {faces if self._seen else 'no face'}")
        for number, seen in self._seen.items():
            total = seen.labels.total()
            shares = [f"{label} {count / total:.0%}" for label, count in seen.labels.most_common(MAX_NAMED)]
            what = ", ".join(shares) or "abstains"
            print(f"  #{number:<4} {seen.first:7.1f} s to {seen.last:7.1f} s  {what}")
        if drawn is not None and timeline is not None:
            print(f"  drawn: {shown(drawn)}, {shown(timeline)}")
