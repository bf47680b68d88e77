"""What a job writes for pictures, Parquet files, videos and bad inputs, with the embedded networks."""

import json
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pytest
import skimage
from pyarrow import parquet
from running_jobs import messages, run_job

from fer_edge import Face, Recognizer, Stream
from fer_edge.bulk.job import FOR_PICTURES
from fer_edge.bulk.parts import METADATA_KEY
from fer_edge.bulk.schema import schema_of
from tests.cli.made_videos import face_video

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
# [H, W]; without a face.
COINS = Path(skimage.__file__).parent / "data" / "coins.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, encoded pictures in two kinds of Parquet columns, a video, and bad ones of each kind."""
    folder = tmp_path / "inputs"
    (folder / "more").mkdir(parents=True)
    (folder / "astronaut.png").write_bytes(ASTRONAUT.read_bytes())
    (folder / "more" / "coins.jpeg").write_bytes(cv2.imencode(".jpg", cv2.imread(str(COINS)))[1].tobytes())
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("is no input")
    encoded = [ASTRONAUT.read_bytes(), None, b"is no picture", COINS.read_bytes(), ASTRONAUT.read_bytes()]
    rows = pa.table({"image": pa.array(encoded, pa.binary()), "label": range(5)})
    parquet.write_table(rows, folder / "rows.parquet", row_group_size=3)
    nested = pa.table({"image": [{"bytes": ASTRONAUT.read_bytes(), "path": "a.png"}]})
    parquet.write_table(nested, folder / "nested.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 is cut short")
    face_video(folder / "video.mp4", seconds=0.5)
    (folder / "video-bad.mp4").write_bytes(b"is no video")
    return folder


def test_results_of_all_kinds_of_inputs(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    done = run_job(folder, "--out", out, "--workers", 2, "--block", 2)
    assert (done.returncode, messages(done.stderr)) == (0, [])
    assert done.stdout.startswith(f"{out}: 12 inputs, ")
    table = parquet.read_table(out)
    rows: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        name = str(Path(row["source"]).relative_to(folder))
        # Rows of an input follow each other.
        key = (name, row["index"])
        assert key not in rows or key == list(rows)[-1]
        rows.setdefault(key, []).append(row)
    with Recognizer(**FOR_PICTURES) as recognizer:
        assert table.schema.remove_metadata() == schema_of(recognizer.labels)
        astronaut = recognizer(cv2.imread(str(ASTRONAUT)))
    assert [face.label for face in astronaut] == ["happiness"]
    for key in (("astronaut.png", None), ("nested.parquet", 0), ("rows.parquet", 0), ("rows.parquet", 4)):
        _compare(rows.pop(key), astronaut, (512, 512))
    for key in (("more/coins.jpeg", None), ("rows.parquet", 3)):
        _compare(rows.pop(key), [], (384, 303))
    with Recognizer() as recognizer, Stream(recognizer, str(folder / "video.mp4")) as stream:
        frames = list(stream)
    assert any(frame.faces for frame in frames)
    for frame in frames:
        found = rows.pop(("video.mp4", frame.index))
        assert found[0]["time_s"] == frame.time
        _compare(found, frame.faces, (640, 480))
    for key, message in {
        ("empty.png", None): "is empty (0 bytes)",
        ("rows.parquet", 1): "is null",
        ("rows.parquet", 2): "is not a picture",
        ("broken.parquet", None): "cannot be read as Parquet",
        ("video-bad.mp4", None): "cannot be read as a video",
    }.items():
        (row,) = rows.pop(key)
        assert row.pop("error").startswith(message)
        assert [name for name, value in row.items() if value is not None] == ["source", "index"][
            : 1 + bool(key[1])
        ]
    assert rows == {}
    manifest = json.loads(table.schema.metadata[METADATA_KEY])
    assert manifest["schema"] == 1
    assert manifest["inputs"]["count"] == 12
    assert manifest["model"]["name"] == "tkfnet-nano"


def _compare(rows: list[dict[str, Any]], faces: list[Face], size: tuple[int, int]) -> None:
    assert len(rows) == max(1, len(faces))
    assert {(row["width"], row["height"], row["note"], row["error"]) for row in rows} == {(*size, None, None)}
    if not faces:
        assert rows[0]["face"] is None
        assert rows[0]["probabilities"] is None
    for number, (row, face) in enumerate(zip(rows, faces, strict=False), 1):
        assert row["face"] == number
        assert row["id"] == getattr(face, "id", None)
        assert (row["label"], row["abstain_reason"]) == (face.label, face.abstain_reason)
        # Stored as float32; smoothed values of a video have more digits.
        assert [row[name] for name in ("x0", "y0", "x1", "y1")] == pytest.approx(face.box, rel=1e-6)
        assert row["landmarks"] == pytest.approx([v for point in face.landmarks for v in point], rel=1e-6)
        assert (row["score"], row["confidence"]) == pytest.approx((face.score, face.confidence), rel=1e-6)
        assert row["probabilities"] == pytest.approx(dict(face.probabilities), rel=1e-6, abs=1e-30)
