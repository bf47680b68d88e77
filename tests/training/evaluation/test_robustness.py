"""Distortions move, paint and shrink as documented, in the runtime's coordinates."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.data.crops import SCALE, TEMPLATE, crop_matrices, inputs_from_split
from training.data.split import LABELS, Split
from training.evaluation import distortions
from training.evaluation.abstention import EYE_DISTANCES, by_eye_distance
from training.evaluation.distortions import DISTORTIONS, Distortion, crops_from_scene, inputs_from_scene
from training.evaluation.predictors import Predictor
from training.evaluation.robustness import robustness

SIZE = 64


@pytest.fixture(scope="module")
def faces() -> Split:
    """Smooth pictures of 48 px, with landmarks in the template's form, rotated, moved and scaled."""
    rng, n = np.random.default_rng(5), 12
    coarse = rng.integers(0, 256, (n, 6, 6), dtype=np.uint8)
    images = np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])
    angle, side = np.radians(rng.normal(0, 8, n)), rng.uniform(38, 46, n)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    template = np.array(TEMPLATE) - 0.5
    landmarks = side[:, None, None] * (template @ turn.transpose(0, 2, 1)) + 24 + rng.normal(0, 1, (n, 1, 2))
    landmarks[-1] = np.nan
    votes = np.eye(len(LABELS), dtype=np.float32)[rng.integers(0, len(LABELS), n)]
    unknown = np.full(n, -1)
    return Split(images, votes, unknown, np.arange(n), unknown, landmarks.astype(np.float32))


def crops(faces: Split, change: distortions.Change, level: float) -> np.ndarray:
    return inputs_from_scene(change(faces, SIZE, level), SIZE)


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    """In the middle of the crops, which no border reaches."""
    inner = slice(SIZE // 4, -SIZE // 4)
    return float(np.abs(one - other)[:, :, inner, inner].mean())


CASES = [(d, way) for d in DISTORTIONS for way in d.cases]
IDS = [f"{d.name}, {way}" for d, way in CASES]


@pytest.mark.parametrize(("distortion", "way"), [c for c in CASES if c[0].plain is not None])
def test_the_plain_level_changes_nothing(faces: Split, distortion: Distortion, way: str):
    plain = inputs_from_split(faces, SIZE)
    np.testing.assert_allclose(crops(faces, distortion.cases[way], distortion.plain), plain, atol=2e-2)


@pytest.mark.parametrize(("distortion", "way"), CASES, ids=IDS)
def test_the_pictures_of_the_split_stay_as_they_are(faces: Split, distortion: Distortion, way: str):
    before, landmarks = faces.images.copy(), faces.landmarks.copy()
    for level in (distortion.levels[0], distortion.levels[-1]):
        x = crops(faces, distortion.cases[way], level)
        assert np.isfinite(x).all()
    np.testing.assert_array_equal(faces.images, before)
    np.testing.assert_array_equal(faces.landmarks, landmarks)


def test_rolled_turns_the_crop_clockwise(faces: Split):
    quarter = crops(faces, distortions.rolled, 90)
    plain = crops(faces, distortions.rolled, 0)
    clockwise = np.rot90(plain, -1, axes=(2, 3))
    assert mean_difference(quarter, clockwise) < 0.01
    assert mean_difference(quarter, plain) > 0.1


def test_alignment_turns_the_picture_back(faces: Split):
    plain = inputs_from_split(faces, SIZE)
    found = faces.found
    aligned = crops(faces, distortions.rolled_and_aligned, 30)
    left = crops(faces, distortions.rolled, 30)
    # Only two interpolations instead of one differ.
    assert mean_difference(aligned[found], plain[found]) < 0.05
    assert mean_difference(left[found], plain[found]) > 0.3
    # Without landmarks, nothing turns the face back.
    assert mean_difference(aligned[~found], left[~found]) < 0.05


def test_scaled_enlarges_the_face_in_the_crop(faces: Split):
    double = crops(faces, distortions.scaled, 2)
    middle = inputs_from_split(faces, SIZE)[:, :, 16:48, 16:48]
    small = double.reshape(len(double), 1, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(small - middle)[:, :, 4:-4, 4:-4].mean() < 0.05


def test_distant_faces_have_the_stated_size(faces: Split):
    scene = distortions.distant(faces, SIZE, 24)
    sides = distortions.crop_widths(scene.matrices, SIZE)
    # The sides of pictures are integers.
    np.testing.assert_allclose(sides, 24, rtol=0.5 / 20)
    ratio = np.array([len(plane) for plane in scene.planes]) / faces.side
    eyes = distortions.eye_distances(faces) * ratio
    np.testing.assert_allclose(eyes[faces.found], 24 * (TEMPLATE[1][0] - TEMPLATE[0][0]), rtol=0.05)
    # The same part of the face, at a lower resolution.
    assert mean_difference(inputs_from_scene(scene, SIZE), inputs_from_split(faces, SIZE)) < 0.1


def test_the_exposure_is_corrected_as_in_the_runtime(faces: Split):
    dark = replace(faces, images=faces.images // 8)
    scene = distortions.Scene(dark.images, crop_matrices(dark, SIZE))
    assert crops_from_scene(scene, SIZE).std((1, 2, 3)).max() < 20
    corrected = inputs_from_scene(scene, SIZE)
    assert corrected.std((1, 2, 3)).min() > 30 * SCALE
    assert mean_difference(corrected, inputs_from_split(dark, SIZE)) < 0.05


def test_only_faces_that_are_large_enough_count_at_an_eye_distance(faces: Split):
    asked: list[int] = []

    def logits(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return np.zeros((len(x), len(LABELS)), np.float32)

    # The distances are 14 to 17 px; one face was not found.
    rows = by_eye_distance(Predictor(logits, SIZE, None, {}), faces)
    apart = distortions.eye_distances(faces)
    expected = {level: int((apart >= level).sum()) for level in EYE_DISTANCES}
    assert {row["eye_px"]: row["rows"] for row in rows} == {k: n for k, n in expected.items() if n}
    assert expected[4] == len(faces) - 1 > expected[16]
    assert sum(asked) == sum(expected.values())
    unknown = replace(faces, landmarks=np.full_like(faces.landmarks, np.nan))
    assert by_eye_distance(Predictor(logits, SIZE, None, {}), unknown) == []


def test_faces_are_never_enlarged(faces: Split):
    scene = distortions.distant(faces, SIZE, 500)
    assert all(plane.shape == (48, 48) for plane in scene.planes)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_covered_hides_the_stated_share(faces: Split, share: float):
    scene = distortions.covered(faces, SIZE, share)
    changed = [(p != i).sum() for p, i in zip(scene.planes, faces.images, strict=True)]
    area = distortions.crop_widths(crop_matrices(faces, SIZE), SIZE) ** 2
    assert np.mean(changed / area) == pytest.approx(share, rel=0.2)


def test_paint_by_hand(faces: Split):
    grey = replace(faces, images=np.full_like(faces.images, 64))
    darker = distortions.brightened(grey, SIZE, 2.0).planes[0]
    assert (darker == round(255 * (64 / 255) ** 2)).all()
    noise = np.stack(distortions.noisy(grey, SIZE, 10).planes).astype(float)
    assert noise.std() == pytest.approx(10, rel=0.02)
    assert (np.stack(distortions.blurred(grey, SIZE, 2).planes) == 64).all()
    losses = [
        np.abs(
            np.stack(distortions.compressed(faces, SIZE, quality).planes) - faces.images.astype(int)
        ).mean()
        for quality in (95, 50, 5)
    ]
    assert losses[0] < 2
    assert losses[0] < losses[1] < losses[2]


def test_curves_have_every_level_and_lose_nothing_at_the_plain_level(faces: Split):
    wide = faces.take(np.arange(12))
    network = Predictor(by_brightness, 24, None, {})
    plain = by_brightness(inputs_from_split(wide, 24)).astype(float)
    reports: list[list[str]] = []
    curves = robustness(network, wide, plain, lambda done: reports.append(list(done)))
    assert [len(names) for names in reports] == list(range(1, len(DISTORTIONS) + 1))
    for distortion in DISTORTIONS:
        ways = curves[distortion.name]["cases"]
        for rows in ways.values():
            assert [row["level"] for row in rows] == list(distortion.levels)
            unchanged = [row for row in rows if row["level"] == distortion.plain]
            assert all(row["lost"] == 0 for row in unchanged)
    darkest = curves["gamma"]["cases"]["aligned by landmarks"][-1]
    assert darkest["accuracy_95"][0] <= darkest["accuracy"] <= darkest["accuracy_95"][1]


def by_brightness(x: np.ndarray) -> np.ndarray:
    return -np.abs(x.mean((1, 2, 3))[:, None] * 4 + 4 - np.arange(len(LABELS))).astype(np.float32)
