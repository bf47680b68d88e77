"""When it cannot know: the labels that change when photographs are changed, and are not withheld.

``python -m training.evaluate_abstention MODEL --photos FOLDER --faces DATA --out DIR``. The runtime runs on
each photograph, and again on the photograph rolled, cut, darkened, overexposed, faded or with a part of
the face covered. A label that changes is wrong, or was; the runtime should abstain there. Faces on which it
abstains in the untouched photograph are left out. Photographs of picture sets in which many wear masks are
counted apart: their untouched faces should be withheld.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fer_edge import Recognizer
from fer_edge.arrays import U8
from fer_edge.context import context
from fer_edge.result import Face
from training.command_line import exit_on_error
from training.crop_check.examples import MASK_SOURCES
from training.data.pictures import SUFFIXES
from training.detector.photos import load_photos
from training.evaluation.changed_photos import changed, nearest
from training.evaluation.markdown import percent, table

LONG_SIDE = 480  # px, to which larger photographs are reduced
MIN_SIZE = 36  # px, the smaller side of the box
MIN_MARGIN = 2  # px between the box and the border
FACES = 2  # of a photograph, those with the best scores


@dataclass(slots=True)
class Count:
    """Faces of one change."""

    tried: int = 0
    found: int = 0
    kept: int = 0  # found, and not abstained
    changed: int = 0  # kept, with another label than in the untouched photograph

    def row(self) -> dict[str, object]:
        """The counts, and the share of changed labels among those kept."""
        share = self.changed / self.kept if self.kept else None
        return {"tried": self.tried, "found": self.found, "kept": self.kept, "changed": self.changed} | {
            "share": share
        }


def measure(recognizer: Recognizer, photos: list[U8]) -> dict[str, object]:
    """The counts of each change, and the coverage on the untouched photographs."""
    counts: dict[str, Count] = defaultdict(Count)
    seen = answered = 0
    for photo in tqdm(photos, desc="photographs", mininterval=5):
        for face in [f for f in recognizer(photo) if _is_whole(f, photo)][:FACES]:
            seen += 1
            if face.abstain_reason:
                continue
            answered += 1
            for name, picture, centre in changed(photo, face):
                count = counts[name]
                count.tried += 1
                reach = 0.6 * max(face.box[2] - face.box[0], face.box[3] - face.box[1])
                found = nearest(recognizer(np.ascontiguousarray(picture)), centre, reach)
                count.found += found is not None
                if found is not None and found.abstain_reason is None:
                    count.kept += 1
                    count.changed += found.label != face.label
    return {
        "faces": seen,
        "answered": answered,
        "changes": {name: count.row() for name, count in counts.items()},
    }


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
    parser.add_argument("--out", type=Path, required=True, help="folder for abstention.json")
    args = parser.parse_args()
    if not (args.photos or args.faces):
        parser.error("give --photos, --faces or both")
    with exit_on_error(parser):
        photos = photos_from_folder(args.photos) if args.photos else []
        photos += photos_with_faces(args.faces, masked=False) if args.faces else []
        masked = photos_with_faces(args.faces, masked=True) if args.faces else []
        with Recognizer(args.model, detector=args.detector) as recognizer:
            result = {"context": context(), "models": recognizer.info(), **measure(recognizer, photos)}
            result["with_masks"] = reasons_of_untouched(recognizer, masked)
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "abstention.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"untouched: {result['answered']} of {result['faces']} faces answered")
    print(f"picture sets with masks: {result['with_masks']}\n")
    print(table([{"change": name, **_shown(row)} for name, row in result["changes"].items()]), end="")


def _shown(row: dict[str, object]) -> dict[str, object]:
    return row | {"share": "-" if row["share"] is None else percent(row["share"])}


if __name__ == "__main__":
    main()
