"""Faces for distillation: those of the training photographs, and no copy of a held-out row."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training import cut_faces as module
from training.data.crops import crop_matrices, sample
from training.data.split import load_prepared, save
from training.detector.photos import load_photos


def test_the_certain_faces_of_the_training_photographs(photographs: Path) -> None:
    split = module.cut_faces(photographs, side=64, min_size=24)
    expected = 0
    for photo in load_photos(photographs, "train"):
        sides = (photo.boxes[:, 2:] - photo.boxes[:, :2]).min(1)
        expected += int((photo.certain & (sides >= 24)).sum())
    assert len(split) == expected > 5
    assert split.images.shape == (expected, 64, 64)
    assert not split.votes.any()
    # The landmarks of these faces are dark dots.
    for image, points in zip(split.images, split.landmarks, strict=True):
        at = image[tuple(np.clip(np.floor(points[:, ::-1]), 0, 63).astype(int).T)]
        assert np.median(at) < image.mean()


def test_copies_of_held_out_rows_are_left_out(
    photographs: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faces = module.cut_faces(photographs, side=64, min_size=24)
    matrices = torch.from_numpy(crop_matrices(faces.take(slice(1)), 48))
    leaked = sample(torch.from_numpy(faces.images[:1]), matrices, 48)[0, 0].round().byte().numpy()
    for name in ("train", "valid", "test"):
        split = load_prepared(prepared, name)
        if name == "test":
            split.images[3], split.landmarks[3] = leaked, np.nan
        save(split, tmp_path / f"{name}.npz")
    out = tmp_path / "faces"
    arguments = [
        str(photographs),
        "--held-out",
        str(tmp_path),
        "--out",
        str(out),
        "--side",
        "64",
        "--min-size",
        "24",
    ]
    monkeypatch.setattr(sys, "argv", ["cut_faces", *arguments])
    module.main()
    kept = load_prepared(out, "train")
    left_out = len(faces) - len(kept)
    assert left_out >= 1
    assert 0 not in kept.rows
    assert capsys.readouterr().out == f"{len(kept)} faces; {left_out} left out as copies of held-out rows\n"
