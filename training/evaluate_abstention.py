"""When it cannot know: the labels that change when photographs are changed, and are not withheld.

``python -m training.evaluate_abstention MODEL --photos FOLDER --faces DATA --out DIR``. The runtime runs on
each photograph, and again on the photograph rolled, cut, darkened, overexposed, faded or with a part of
the face covered. A label that changes is wrong, or was; the runtime should abstain there. Faces on which it
abstains in the untouched photograph are left out. Photographs of picture sets in which many wear masks are
counted apart: their untouched faces should be withheld. ``--beside`` also counts the untouched faces that
another version finds too.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from fer_edge import Recognizer, models
from fer_edge.arrays import U8
from fer_edge.benchmark.measure.context import context
from fer_edge.result import Face
from training.command_line import exit_on_error
from training.data.pictures import SUFFIXES
from training.detector.photos import MASK_SOURCES, load_photos
from training.evaluation.changed_photos import changed, nearest
from training.evaluation.markdown import percent, table
from training.evaluation.withheld_labels import (
    Answer,
    UntouchedFace,
    answer_from_face,
    counts,
    shared_faces,
)

LONG_SIDE = 480  # px, to which larger photographs are reduced
MIN_SIZE = 36  # px, the smaller side of the box
MIN_MARGIN = 2  # px between the box and the border
FACES = 2  # of a photograph, those with the best scores
CONFIDENCES = (0.5, 0.55, 0.6, 0.65)  # thresholds beside the file's own


def untouched_faces(recognizer: Recognizer, photos: list[U8]) -> list[UntouchedFace]:
    """The faces of the photographs, with what a recogniser without min_confidence answers for each change.

    A face that it withholds is not changed.
    """
    faces = []
    for number, photo in enumerate(tqdm(photos, desc="photographs", mininterval=5)):
        for face in [f for f in recognizer(photo) if _is_whole(f, photo)][:FACES]:
            changes = [] if face.abstain_reason else _answers_for_changes(recognizer, photo, face)
            faces.append(UntouchedFace(number, face.box, answer_from_face(face), changes))
    return faces


def _answers_for_changes(recognizer: Recognizer, photo: U8, face: Face) -> list[tuple[str, Answer | None]]:
    reach = 0.6 * max(face.box[2] - face.box[0], face.box[3] - face.box[1])
    answers = []
    for name, picture, centre in changed(photo, face):
        found = nearest(recognizer(np.ascontiguousarray(picture)), centre, reach)
        answers.append((name, None if found is None else answer_from_face(found)))
    return answers


def measure(faces: list[UntouchedFace], min_confidence: float, beside: Path | None) -> dict[str, Any]:
    """The counts at the file's threshold, and at others; ``beside`` is a faces.json of another version."""
    result: dict[str, Any] = {"min_confidence": min_confidence, "faces": len(faces)}
    result |= counts(faces, min_confidence)
    matches: list[int | None] = [None] * len(faces)
    if beside:
        others = json.loads(beside.read_text(encoding="utf-8"))
        matches = shared_faces(faces, [(other["photo"], tuple(other["box"])) for other in others])
        found = [others[match]["answered"] for match in matches if match is not None]
        result["shared"] = {"faces": len(found), "answered_beside": sum(found)}
    shared = [face for face, match in zip(faces, matches, strict=True) if match is not None]
    result["by_confidence"] = [
        {"min_confidence": level, "shared_answered": counts(shared, level)["answered"]} | counts(faces, level)
        for level in sorted({*CONFIDENCES, min_confidence})
    ]
    return result


def _is_whole(face: Face, photo: U8) -> bool:
    x0, y0, x1, y1 = face.box
    height, width = photo.shape
    inside = min(x0, y0, width - x1, height - y1) > MIN_MARGIN
    return inside and min(x1 - x0, y1 - y0) >= MIN_SIZE


def photos_from_folder(folder: Path) -> list[U8]:
    """The pictures of a folder as luma, reduced to LONG_SIDE."""
    photos = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise ValueError(f"{path} must be a picture that OpenCV reads; remove it")
        factor = min(1.0, LONG_SIDE / max(picture.shape))
        resized = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        photos.append(np.asarray(resized, np.uint8))
    return photos


def photos_with_faces(faces: Path, *, masked: bool) -> list[U8]:
    """The detector's test photographs with a certain face of some size: those of the picture sets in which
    many wear masks, or the others.
    """
    return [
        photo.image
        for photo in load_photos(faces, "test")
        if photo.source.startswith(MASK_SOURCES) == masked
        and (photo.certain & ((photo.boxes[:, 2:] - photo.boxes[:, :2]).min(1) >= MIN_SIZE)).any()
    ]


def reasons_of_untouched(recognizer: Recognizer, photos: list[U8]) -> dict[str, int]:
    """How many faces of the photographs are answered, and how many are withheld for each reason."""
    counts: dict[str, int] = defaultdict(int)
    for photo in photos:
        for face in [f for f in recognizer(photo) if _is_whole(f, photo)][:FACES]:
            counts[face.abstain_reason or "answered"] += 1
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of an embedded model or path of an ONNX file")
    parser.add_argument("--detector", default="face-luma", help="likewise")
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("--faces", type=Path, help="folder of faces-*.npz, of which the test part is used")
    parser.add_argument("--beside", type=Path, help="faces.json of another version on the same photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder for abstention.json and faces.json")
    args = parser.parse_args()
    if not (args.photos or args.faces):
        parser.error("give --photos, --faces or both")
    with exit_on_error(parser):
        photos = photos_from_folder(args.photos) if args.photos else []
        photos += photos_with_faces(args.faces, masked=False) if args.faces else []
        masked = photos_with_faces(args.faces, masked=True) if args.faces else []
        min_confidence = models.load(args.model, "expression").spec.min_confidence
        with Recognizer(args.model, detector=args.detector, min_confidence=0) as recognizer:
            faces = untouched_faces(recognizer, photos)
        result = measure(faces, min_confidence, args.beside)
        with Recognizer(args.model, detector=args.detector) as recognizer:
            result = {"context": context(), "models": recognizer.info(), **result}
            result["with_masks"] = reasons_of_untouched(recognizer, masked)
        rows = [
            {"photo": f.photo, "box": f.box, "answered": f.answer.is_given(min_confidence)} for f in faces
        ]
        args.out.mkdir(parents=True, exist_ok=True)
        for name, content in (("faces", rows), ("abstention", result)):
            (args.out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"untouched: {result['answered']} of {result['faces']} faces answered")
    print(f"picture sets with masks: {result['with_masks']}\n")
    print(table([{"change": name, **_shown(row)} for name, row in result["changes"].items()]), end="")


def _shown(row: dict[str, object]) -> dict[str, object]:
    return row | {"share": "-" if row["share"] is None else percent(row["share"])}


if __name__ == "__main__":
    main()
