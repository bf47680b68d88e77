"""Recordings of what a stream observed, without pixels, and their replay.

JSON Lines. The first line is the header: format, version, the network's labels and temperatures, the settings
of smoothing and events. Each other line is a frame: time, and for each face its id, box, landmarks, score,
and its logits if they were computed in this frame. Smoothing and events are computed again by a replay, so
they can be tried with other settings; with the same settings they are the same to the last bit.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.arrays import F32
from fer_edge.result import Detections
from fer_edge.stream.events import EventRules
from fer_edge.stream.observation import Observation
from fer_edge.stream.result import Skipped, StreamResult
from fer_edge.stream.smoothing import Smoothing
from fer_edge.stream.steady import Calibration, Steady

FORMAT, VERSION = "fer_edge.stream", 1


class Recorder:
    """Writes a recording, one line a frame, at once.

    Args:
        path: of the file, which is replaced.
        calibration: of the expression network.
        smoothing: settings that a replay uses unless it is given others.
        events: as smoothing.
        recognizer: its info(), so that a reader knows which models saw the faces.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        calibration: Calibration,
        smoothing: Smoothing,
        events: EventRules,
        recognizer: dict[str, Any],
    ) -> None:
        self._file = Path(path).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 (until close)
        self._write(
            {
                "format": FORMAT,
                "version": VERSION,
                **asdict(calibration),
                "smoothing": asdict(smoothing),
                "events": asdict(events),
                "recognizer": recognizer,
            }
        )

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")

    def write(self, seen: Observation, index: int, dropped: int) -> None:
        """Writes a frame."""
        rows = zip(
            *(seen.ids, seen.found.boxes.tolist(), seen.found.landmarks.tolist(), seen.found.scores.tolist()),
            *(seen.logits.tolist(), seen.reasons, seen.is_fresh),
            strict=True,
        )
        faces = [
            {
                "id": id,
                "box": box,
                "landmarks": landmarks,
                "score": score,
                "logits": logits if is_fresh else None,
                "abstain_reason": reason,
            }
            for id, box, landmarks, score, logits, reason, is_fresh in rows
        ]
        self._write(
            {
                "index": index,
                "time": seen.time,
                "dropped": dropped,
                "searched": seen.searched,
                "skipped": seen.skipped.to_dict(),
                "ended": list(seen.ended),
                "faces": faces,
            }
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def replay(
    path: str | os.PathLike[str], *, smoothing: Smoothing | None = None, events: EventRules | None = None
) -> Iterator[StreamResult]:
    """Yields the results of a recorded stream again, without frames and timings.

    Args:
        path: of a recording, see Stream(record=...).
        smoothing: other settings than the recorded ones.
        events: as smoothing.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a recording of a known version, or a line is damaged.
    """
    with Path(path).open(encoding="utf-8") as file:
        header = _header(file.readline(), path)
        calibration = Calibration(
            tuple(header["labels"]), header["temperature"], header["confidence_temperature"]
        )
        steady = Steady(
            calibration,
            smoothing or Smoothing(**header["smoothing"]),
            events or EventRules(**header["events"]),
        )
        kept: dict[int, F32] = {}
        for number, text in enumerate(file, start=2):
            try:
                line = json.loads(text)
                seen = _observation(line, kept, len(calibration.labels))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number}: damaged ({error!r}); all lines before it were replayed"
                ) from error
            faces, found_events = steady.update(seen)
            yield StreamResult(
                index=line["index"],
                time=seen.time,
                frame=None,
                faces=faces,
                events=found_events,
                searched=seen.searched,
                skipped=seen.skipped,
                dropped=line["dropped"],
            )


def _header(text: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path} is not a recording of a stream: its first line has no format {FORMAT!r}")
    if header.get("version") != VERSION:
        raise ValueError(
            f"{path} is a recording of version {header.get('version')!r}, expected {VERSION}; replay it with "
            "the version of fer_edge that recorded it"
        )
    return header


def _observation(line: dict[str, Any], kept: dict[int, F32], classes: int) -> Observation:
    """Returns the observation of a line; `kept` has the last logits of each face, and is updated."""
    for face in line["ended"]:
        kept.pop(face, None)
    faces = line["faces"]
    for face in faces:
        if face["logits"] is not None:
            kept[face["id"]] = np.array(face["logits"], np.float32)
    count = len(faces)
    return Observation(
        time=line["time"],
        ids=tuple(face["id"] for face in faces),
        found=Detections(
            np.array([face["box"] for face in faces], np.float32).reshape(count, 4),
            np.array([face["landmarks"] for face in faces], np.float32).reshape(count, 5, 2),
            np.array([face["score"] for face in faces], np.float32),
        ),
        logits=np.array([kept[face["id"]] for face in faces], np.float32).reshape(count, classes),
        reasons=tuple(face["abstain_reason"] for face in faces),
        is_fresh=tuple(face["logits"] is not None for face in faces),
        ended=tuple(line["ended"]),
        searched=line["searched"],
        skipped=Skipped(
            line["skipped"]["search"],
            *(tuple(line["skipped"][name]) for name in ("still", "unchanged", "over_budget")),
        ),
    )
