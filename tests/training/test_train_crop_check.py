"""The crop check learns beside a network that does not change."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import onnx_from_checkpoint
from fer_edge import Recognizer, models
from training import train_crop_check as module
from training.crop_check.examples import KINDS, Examples
from training.data.split import load_prepared, save
from training.loop.checkpoint import model_from_checkpoint
from training.models.crop_check import PROBLEMS, CropCheck


@pytest.fixture(scope="module")
def checked(
    checkpoint: Path, prepared: Path, photographs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        arguments = [str(checkpoint), str(prepared), "--faces", str(photographs), "--out", str(out)]
        patch.setattr(sys, "argv", ["train_crop_check", *arguments])
        module.main()
        module.main()  # a second run finds the examples of the first
    return out


def test_the_network_stays_as_it_is(checkpoint: Path, checked: Path) -> None:
    before, after = model_from_checkpoint(checkpoint), model_from_checkpoint(checked / "checkpoint.pt")
    x = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(before(x), after(x))
        assert after.crop_check(after.trunk(x)).shape == (3, len(PROBLEMS))


def test_examples_of_other_inputs_are_refused(
    checked: Path, prepared: Path, photographs: Path, tmp_path: Path
) -> None:
    kept = module.load_examples(checked, "valid", prepared, photographs, None, 64)
    assert kept.crops.shape == (240, 64, 64)
    marks, other_faces = tmp_path / "marks.npz", tmp_path / "faces"
    shutil.copy(photographs / "faces-0.npz", marks)
    other_faces.mkdir()
    np.savez(other_faces / "faces-0.npz", other=np.zeros(1))
    split = load_prepared(prepared, "valid")
    save(replace(split, images=255 - split.images), tmp_path / "valid.npz")
    for data, faces, its_marks, size, differ in (
        (tmp_path, photographs, None, 64, "data"),
        (prepared, other_faces, None, 64, "faces"),
        (prepared, photographs, marks, 64, "marks"),
        (tmp_path, photographs, None, 128, "data, size"),
    ):
        with pytest.raises(ValueError, match=rf"valid\.npz .* other inputs \({differ} differ\)"):
            module.load_examples(checked, "valid", data, faces, its_marks, size)


def test_the_report_says_what_is_withheld(checked: Path) -> None:
    report = json.loads((checked / "crop_check.json").read_text())
    assert set(report["limits"]) == set(PROBLEMS)
    assert report["valid"]["untouched"]["faces"] == 80
    assert report["valid"]["rolled"]["faces"] == 80
    assert all(report["valid"]["untouched"][problem] <= 1 / 80 for problem in PROBLEMS)


def test_limits_and_shares_of_known_probabilities() -> None:
    kinds = np.array([KINDS.index("untouched")] * 1000 + [KINDS.index("mouth covered")] * 4)
    found = np.zeros((1004, 2), np.float32)
    found[:1000, 0] = np.linspace(0, 0.999, 1000)
    found[1000:, 0] = (0.5, 0.99, 0.996, 1)
    examples = Examples(np.zeros((1004, 1, 1), np.uint8), np.zeros((1004, 2), np.float32), kinds)
    limits = module.limits_from_untouched(found, examples)
    assert limits == {"covered": pytest.approx(0.989, abs=1e-3), "rolled": 0}
    table = module.withheld(found, examples, limits)
    assert table["mouth covered"] == {"faces": 4, "covered": 0.75, "rolled": 0}
    assert table["untouched"] == {"faces": 1000, "covered": 0.01, "rolled": 0}


def test_the_check_learns_what_the_maps_show() -> None:
    torch.manual_seed(0)
    maps = torch.randn(4096, 4, 2, 2)
    targets = torch.stack([maps[:, 0].mean((1, 2)) > 0, maps[:, 1, 0, 0] > 0], dim=1).float()
    check = CropCheck(4, 2)
    module.train_check(check, maps, targets, seed=0)
    right = (module.probabilities(check, maps) > 0.5) == (targets.numpy() > 0.5)
    assert right.mean(0).min() > 0.93


def test_unknown_targets_teach_nothing() -> None:
    torch.manual_seed(0)
    maps, targets = torch.randn(64, 4, 2, 2), torch.full((64, 2), float("nan"))
    targets[:, 0] = (maps.mean((1, 2, 3)) > 0).float()
    check = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    before = check[1].weight.detach().clone()
    module.train_check(check, maps, targets, seed=0)
    known, unknown = (check[1].weight[k] / before[k] for k in (0, 1))
    assert (known - known[0]).abs().max() > 0.01
    # Weight decay alone scales all weights of the unknown problem alike.
    assert (unknown - unknown[0]).abs().max() < 1e-5


def test_the_exported_file_has_the_check_and_its_limits(
    checked: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "checked.onnx"
    arguments = ["expression", str(checked / "checkpoint.pt"), "--data", str(prepared), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["onnx_from_checkpoint", *arguments])
    onnx_from_checkpoint.main()
    assert [o.name for o in onnx.load(out).graph.output] == ["logits", "crop_check"]
    spec = models.read(out).spec
    limits = json.loads((checked / "crop_check.json").read_text())["limits"]
    assert (spec.max_covered, spec.max_rolled) == (limits["covered"], limits["rolled"])
    # The runtime gives the probabilities of the network.
    network = model_from_checkpoint(checked / "checkpoint.pt")
    crop = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    x = torch.from_numpy((crop[None, None].astype(np.float32) - spec.mean) * np.float32(spec.scale))
    with torch.no_grad():
        rolled = float(network.crop_check(network.trunk(x)).sigmoid()[0, PROBLEMS.index("rolled")])
    calm = {"min_sharpness": 0, "max_covered": 1, "min_confidence": 0, "threads": 1}
    for limit, reason in ((rolled - 1e-4, "face rolled too far"), (rolled + 1e-4, None)):
        with Recognizer(out, max_rolled=limit, **calm) as recognizer:
            assert recognizer.recognize_crops([crop])[0].abstain_reason == reason
