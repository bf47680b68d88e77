"""Start weights: what fits is loaded, the rest is reported, and an exported file computes the same as
before.
"""

from pathlib import Path

import pytest
import torch
from torch import nn

from export.export_specs import expression_export_spec
from export.onnx_from_checkpoint import onnx_from_model
from fer_edge.models import WEIGHTS
from training.loop.start_weights import load_start_weights
from training.models import build
from training.models.conv_cut import ConvCut
from training.models.tkfnet import TkfNet
from training.models.tkfnet_nano import TkfNetNano

NO_PICTURES = torch.zeros(0, 1, 56, 56)


def torchvision_resnet18(width: int = 64) -> dict[str, torch.Tensor]:
    """Random weights with torchvision's names, as torch.load returns them for resnet18."""
    trunk = TkfNet(channels=3, width=width).trunk
    state = {name: torch.randn_like(value.float()) for name, value in trunk.state_dict().items()}
    return state | {"fc.weight": torch.randn(1000, 8 * width), "fc.bias": torch.randn(1000)}


def torchvision_convnext(model: ConvCut) -> dict[str, torch.Tensor]:
    """The same for a ConvNeXt with one more block in stage 3 and a fourth stage."""
    names = {"depthwise": "block.0", "norm": "block.2", "pointwise1": "block.3", "pointwise2": "block.5"}
    state = {}
    for name, value in model.trunk.state_dict().items():
        part, _, rest = name.partition(".")
        index, _, rest = rest.partition(".")
        if part == "stem":
            name = f"features.0.{index}.{rest}"
        elif part == "downsample":
            name = f"features.{2 * int(index)}.{rest}"
        else:
            block, _, rest = rest.partition(".")
            layer, _, kind = rest.partition(".")
            name = f"features.{2 * int(index) + 1}.{block}." + (
                f"{names[layer]}.{kind}" if layer in names else layer
            )
        value = torch.randn_like(value)
        state[name] = value[:, None, None] if name.endswith("layer_scale") else value
    return state | {
        "features.5.5.layer_scale": torch.zeros(160, 1, 1),
        "classifier.2.weight": torch.zeros(8, 2),
    }


def test_torchvisions_resnet_loads_whole(tmp_path: Path):
    given = torchvision_resnet18()
    torch.save(given, tmp_path / "resnet18.pth")
    model = TkfNet(channels=3)
    report = load_start_weights(model, tmp_path / "resnet18.pth", NO_PICTURES)
    for name, value in model.trunk.state_dict().items():
        torch.testing.assert_close(value, given[name].to(value.dtype), msg=name)
    assert "tafe.split.weight [1024, 512, 1, 1]: not in the file" in report
    assert "fc.weight: in the file only" in report
    assert "layer1" not in report


def test_rgb_is_summed_for_luma(tmp_path: Path):
    given = torchvision_resnet18()
    torch.save({"state_dict": {f"module.{k}": v for k, v in given.items()}}, tmp_path / "w.pth")
    model = TkfNet(channels=1)
    report = load_start_weights(model, tmp_path / "w.pth", NO_PICTURES)
    grey = torch.randn(1, 1, 224, 224)
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), given["conv1.weight"], stride=2, padding=3)
    torch.testing.assert_close(model.trunk.conv1(grey), expected, rtol=1e-4, atol=1e-4)
    assert "conv1" not in report


def test_another_stem_is_listed_and_no_error(tmp_path: Path):
    torch.save(torchvision_resnet18(), tmp_path / "w.pth")
    report = load_start_weights(TkfNet(size=56), tmp_path / "w.pth", NO_PICTURES)
    assert "trunk.conv1.weight [64, 1, 3, 3]" in report


def test_another_network_is_an_error_that_lists_all_and_changes_nothing(tmp_path: Path):
    torch.save(torchvision_resnet18(), tmp_path / "w.pth")
    model = TkfNet(depth=34)
    before = model.state_dict()["trunk.conv1.weight"].clone()
    with pytest.raises(ValueError, match=r"does not fit(?s:.)*trunk\.layer1\.2\.conv1\.weight"):
        load_start_weights(model, tmp_path / "w.pth", NO_PICTURES)
    torch.testing.assert_close(model.state_dict()["trunk.conv1.weight"], before)


def test_a_deeper_file_is_an_error_too(tmp_path: Path):
    trunk = TkfNet(depth=34, channels=3).trunk
    torch.save(dict(trunk.state_dict()), tmp_path / "resnet34.pth")
    with pytest.raises(ValueError, match=r"does not fit(?s:.)*layer1\.2\.conv1\.weight: in the file only"):
        load_start_weights(TkfNet(channels=3), tmp_path / "resnet34.pth", NO_PICTURES)


def test_torchvisions_convnext_loads_by_the_key_map(tmp_path: Path):
    model = ConvCut("atto", channels=3)
    given = torchvision_convnext(model)
    torch.save(given, tmp_path / "convnext.pth")
    report = load_start_weights(model, tmp_path / "convnext.pth", NO_PICTURES)
    state = model.trunk.state_dict()
    torch.testing.assert_close(state["stem.0.weight"], given["features.0.0.weight"])
    torch.testing.assert_close(state["downsample.2.1.weight"], given["features.4.1.weight"])
    torch.testing.assert_close(state["stages.2.3.pointwise2.bias"], given["features.5.3.block.5.bias"])
    torch.testing.assert_close(state["stages.1.0.layer_scale"], given["features.3.0.layer_scale"].flatten())
    assert "trunk." not in report
    assert "stages.2.5.layer_scale: in the file only" in report


def with_random_statistics(model: nn.Module) -> nn.Module:
    """Normalisations as after training: no statistic is 0, no scale is 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def exported(model: nn.Module, name: str, path: Path) -> Path:
    """A file as the exporter writes it, with folded normalisations."""
    export = expression_export_spec(model, name)
    path.write_bytes(onnx_from_model(model, export, export.model_spec).SerializeToString())
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tkfnet-nano", {"widths": (16, 16, 16)}),
        ("tkfnet", {"size": 56, "width": 8}),
        ("tkfnet", {"size": 56, "width": 8, "depth": 34, "tafe": "none"}),
    ],
)
def test_an_exported_file_computes_the_same_after_loading(
    name: str, options: dict[str, object], tmp_path: Path
):
    torch.manual_seed(0)
    model = with_random_statistics(build(name, **options))
    fresh = build(name, **options)
    x = torch.randn(64, 1, model.size, model.size)
    assert "all weights taken" in load_start_weights(fresh, exported(model, name, tmp_path / "m.onnx"), x)
    with torch.no_grad():
        wanted = model(x)
        torch.testing.assert_close(fresh.eval()(x), wanted, rtol=1e-3, atol=1e-3)
        # In training, every normalisation sees the pictures it was measured on, so the result stays the same.
        fresh.train()
        for module in fresh.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        torch.testing.assert_close(fresh(x), wanted, rtol=0.02, atol=0.02 * float(wanted.std()))


def test_the_embedded_network_can_be_loaded():
    x = torch.rand(64, 1, 64, 64) * 4 - 2
    assert "all weights taken" in load_start_weights(TkfNetNano(), WEIGHTS / "tkfnet-nano-float32.onnx", x)


@pytest.mark.slow
def test_a_file_of_another_network_is_refused(tmp_path: Path):
    path = exported(TkfNetNano((16, 16, 16)).eval(), "tkfnet-nano", tmp_path / "nano.onnx")
    with pytest.raises(ValueError, match=r"does not fit: trunk\.0\.weight must be \[32, 1, 5, 5\], got \[16"):
        load_start_weights(TkfNetNano(), path, torch.zeros(2, 1, 64, 64))


@pytest.mark.slow
def test_a_file_whose_normalisations_do_not_fold_is_refused(tmp_path: Path):
    torch.manual_seed(0)
    model = with_random_statistics(build("conv-cut", variant="atto", size=56, tokens_width=64))
    path = exported(model, "conv-cut", tmp_path / "conv-cut.onnx")
    fresh = build("conv-cut", variant="atto", size=56, tokens_width=64)
    with pytest.raises(ValueError, match="start from its checkpoint"):
        load_start_weights(fresh, path, torch.randn(8, 1, 56, 56))
