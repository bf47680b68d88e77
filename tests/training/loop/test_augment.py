"""Distortions: their effects, reproducible random numbers, and equal numbers for a part of a batch."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from training.data.crops import sample
from training.loop.augment import (
    AugmentRanges,
    BatchRng,
    badly_exposed,
    cover_feature,
    erase,
    mix,
    photometric,
    random_matrices,
)

STILL = AugmentRanges().scaled(0)


def whole_batch(count: int, seed: int = 0) -> BatchRng:
    return BatchRng(count, slice(None), torch.Generator().manual_seed(seed))


def pictures(count: int) -> torch.Tensor:
    coarse = np.random.default_rng(3).integers(0, 256, (count, 7, 7), dtype=np.uint8)
    return torch.from_numpy(
        np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])
    )


def identity(count: int, size: int) -> torch.Tensor:
    return torch.tensor([[48 / size, 0, 0], [0, 48 / size, 0]]).expand(count, 2, 3)


def test_no_jitter_gives_the_crop_or_its_mirror():
    images, matrices = pictures(12), identity(12, 64)
    moved = random_matrices(matrices, matrices, 64, STILL, whole_batch(12))
    plain, ours = sample(images, matrices, 64), sample(images, moved, 64)
    same = (ours - plain).abs().amax((1, 2, 3)) < 0.1
    mirrored = (ours - plain.flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert (same | mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_geometry_keeps_to_its_ranges():
    matrices = identity(4000, 64)
    ranges = AugmentRanges(zoom=0.2, rotation=10, shear=0, shift=0, unaligned=0, rolled=0)
    linear = random_matrices(matrices, matrices, 64, ranges, whole_batch(4000))[:, :, :2] / 0.75
    zoom = torch.linalg.det(linear).abs().sqrt()
    assert np.exp(-0.2) - 1e-3 < zoom.min() < zoom.max() < np.exp(0.2) + 1e-3
    angle = torch.rad2deg(torch.atan2(linear[:, 1, 0] * linear[:, 0, 0].sign(), linear[:, 0, 0].abs()))
    assert angle.std() == pytest.approx(10, rel=0.1)


def test_rolled_pictures_take_any_angle():
    matrices = identity(4000, 64)
    ranges = replace(STILL, rolled=0.5)
    linear = random_matrices(matrices, matrices, 64, ranges, whole_batch(4000))[:, :, :2]
    upright = torch.linalg.det(linear) > 0
    angle = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))[upright]
    assert (angle.abs() > 1).float().mean() == pytest.approx(0.5, abs=0.05)
    assert angle[angle.abs() > 1].abs().mean() == pytest.approx(90, abs=5)


def test_badly_exposed_pictures_are_dark_bright_or_flat_and_whole_grey_levels():
    luma = torch.rand(400, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 200 + 20
    changed = badly_exposed(luma, whole_batch(400))
    assert torch.equal(changed, changed.round())
    assert 0 <= changed.min() < changed.max() <= 255
    mean, deviation = changed.mean((1, 2, 3)), changed.std((1, 2, 3))
    assert (mean < 40).float().mean() > 0.2
    assert (mean > 180).float().mean() > 0.1
    assert ((deviation < 0.6 * luma.std()) & (mean > 50)).float().mean() > 0.1


def test_a_cover_hides_the_mouth_or_the_eyes_from_side_to_side():
    x = torch.full((300, 1, 64, 64), 100.0)
    covered = cover_feature(x, 1.0, whole_batch(300))[:, 0] != 100
    rows = covered.any(2)
    mouth, eyes = rows[:, round(0.76 * 64)], rows[:, round(0.39 * 64)]
    # Where the pictures are equal, those covered with another picture do not change.
    seen = covered.any((1, 2))
    assert 0.4 < seen.float().mean() < 0.8
    assert ((mouth ^ eyes) | ~seen).all()
    assert mouth[seen].float().mean() == pytest.approx(0.6, abs=0.12)
    assert covered[seen].any(1).float().mean(1).min() > 0.45
    assert torch.equal(cover_feature(x, 0.0, whole_batch(300)), x)


def test_photometric_without_jitter_only_normalises():
    luma = pictures(4)[:, None].float()
    torch.testing.assert_close(
        photometric(luma, STILL, whole_batch(4)), (luma.clamp(min=0.0255) - 129) / 64, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("kind", ["coarse", "blur"])
def test_coarse_and_blurred_pictures_lose_detail(kind: str):
    luma = torch.rand(16, 1, 48, 48, generator=torch.Generator().manual_seed(0)) * 255
    worse = photometric(
        luma, AugmentRanges(**dict.fromkeys(AugmentRanges.__slots__, 0) | {kind: 1.0}), whole_batch(16)
    )
    plain = photometric(luma, STILL, whole_batch(16))
    steps = [(x[..., 1:] - x[..., :-1]).square().mean() for x in (worse, plain)]
    assert steps[0] < 0.9 * steps[1]


def test_photometric_is_reproducible_and_finite():
    luma = pictures(16)[:, None].float()
    one, two = (photometric(luma, AugmentRanges(), whole_batch(16, seed=1)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.isfinite(one).all()
    assert one.abs().max() < 12


def test_erasing_covers_about_the_stated_share():
    x = torch.zeros(400, 1, 64, 64)
    covered = (erase(x, 1.0, whole_batch(400, seed=2)) != 0).float().mean((1, 2, 3))
    assert 0.05 < covered.mean() < 0.12
    assert covered.max() < 0.25
    assert (erase(x, 0.0, whole_batch(400, seed=2)) == 0).all()


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_mixed_targets_follow_the_mixed_pixels(mixup: float, cutmix: float):
    # Even rows are black, odd rows white, and so are the targets: the share of white is the picture's mean.
    x = (torch.arange(512) % 2).float()[:, None, None, None].expand(512, 1, 16, 16)
    target = torch.stack([1 - x[:, 0, 0, 0], x[:, 0, 0, 0]], dim=1)
    mixed, (shares,) = mix(x, (target,), mixup, cutmix, whole_batch(512))
    torch.testing.assert_close(shares[:, 1], mixed.mean((1, 2, 3)))
    torch.testing.assert_close(shares.sum(1), torch.ones(512))
    assert ((shares > 0.01) & (shares < 0.99)).any(1).float().mean() > 0.75
    assert (shares.argmax(1) == target.argmax(1)).float().mean() > 0.9


def test_the_last_of_an_odd_batch_is_left_alone():
    x = torch.arange(3).float()[:, None, None, None].expand(3, 1, 4, 4)
    mixed, _ = mix(x, (x[:, :, 0, 0],), 1.0, 0.0, whole_batch(3))
    assert torch.equal(mixed[2], x[2])
    assert not torch.equal(mixed[0], x[0])


def test_shares_together_see_what_the_whole_batch_sees():
    luma, matrices = pictures(8)[:, None].float(), identity(8, 48)

    def distorted(share: slice) -> torch.Tensor:
        rng = BatchRng(8, share, torch.Generator().manual_seed(5))
        moved = random_matrices(matrices[share], matrices[share], 48, AugmentRanges(), rng)
        x = photometric(sample(luma[share, 0].to(torch.uint8), moved, 48), AugmentRanges(), rng)
        return mix(x, (), 0.5, 0.5, rng)[0]

    parts = torch.cat([distorted(slice(0, 4)), distorted(slice(4, 8))])
    torch.testing.assert_close(parts, distorted(slice(0, 8)), rtol=0, atol=1e-4)
