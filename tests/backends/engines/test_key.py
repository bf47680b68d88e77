"""The key of a plan: every part of it counts, and a mismatch is explained."""

import dataclasses
import platform
from pathlib import Path
from typing import Any

import pytest
from made_plans import KEY, ORIN, RTX_4090

from fer_edge import models
from fer_edge.backends.engines.key import Key, Options, differences, key_for
from fer_edge.backends.engines.products import target_for
from fer_edge.backends.engines.profiles import Profile

OTHER: dict[str, Any] = {
    "model_sha256": "b" * 64,
    "precision": "float16",
    "product": "tensorrt",
    "product_version": "1.7.1.117",
    "target": "turing",
    "platform": "linux-aarch64",
    "gpu": ORIN,
    "profiles": (Profile((2, 1, 16, 16), (2, 1, 16, 16), (2, 1, 16, 16)),),
    "options": Options(workspace_mib=512),
    "recipe": 2,
}


def test_equal_keys_have_no_differences() -> None:
    assert differences(KEY, dataclasses.replace(KEY)) == []


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Key)])
def test_each_field_counts_and_is_named(field: str) -> None:
    (text,) = differences(KEY, dataclasses.replace(KEY, **{field: OTHER[field]}))
    assert text.startswith(f"{field}: wanted ")


def test_a_difference_says_both_sides() -> None:
    mine, other = dataclasses.replace(KEY, gpu=ORIN), dataclasses.replace(KEY, gpu=RTX_4090)
    assert differences(mine, other) == [
        "gpu: wanted Orin (compute capability 8.7, 16 multiprocessors, CUDA driver 12.6), found NVIDIA "
        "GeForce RTX 4090 (compute capability 8.9, 128 multiprocessors, CUDA driver 13.0)"
    ]
    (shapes,) = differences(KEY, dataclasses.replace(KEY, profiles=OTHER["profiles"]))
    assert shapes.endswith("found [2, 1, 16, 16] to [2, 1, 16, 16] tuned for [2, 1, 16, 16]")
    (digest,) = differences(KEY, dataclasses.replace(KEY, model_sha256="b" * 64))
    assert digest == f"model_sha256: wanted {'a' * 16}..., found {'b' * 16}..."


@pytest.mark.parametrize(
    "change",
    [{"driver": "12.8"}, {"multiprocessors": 8}, {"compute_capability": 110}, {"name": "Orin Nano"}],
)
def test_each_property_of_the_gpu_counts(change: dict[str, Any]) -> None:
    wanted = dataclasses.replace(KEY, gpu=ORIN)
    assert differences(wanted, dataclasses.replace(KEY, gpu=dataclasses.replace(ORIN, **change)))


def test_the_key_of_a_model(expression_file: Path) -> None:
    model = models.read(expression_file)
    key = key_for(model, target_for("rtx"), "1.7.1.116", ORIN, Options())
    assert (key.model_sha256, key.precision) == (model.sha256, "float32")
    assert (key.product, key.product_version, key.target) == ("tensorrt-rtx", "1.7.1.116", "rtx")
    assert key.platform == f"linux-{platform.machine().lower()}"
    # A portable plan does not depend on the GPU of the machine that builds it.
    assert key.gpu is None
    assert key_for(model, target_for("this", "tensorrt"), "10.3.0", ORIN, Options()).gpu == ORIN


def test_the_accelerator_takes_one_shape(expression_file: Path) -> None:
    model = models.read(expression_file)
    key = key_for(model, target_for("this", "tensorrt"), "10.3.0", ORIN, Options(dla_core=0))
    assert key.profiles == (Profile((1, 1, 16, 16), (1, 1, 16, 16), (1, 1, 16, 16)),)


def test_plans_of_one_environment_share_a_folder() -> None:
    other_model = dataclasses.replace(KEY, model_sha256="b" * 64, precision="float16", profiles=())
    assert KEY.environment() == other_model.environment()
    assert KEY.environment().startswith("tensorrt-rtx-1.7.1.116-rtx-")
    for field in ("product_version", "platform", "gpu", "options", "recipe"):
        assert KEY.environment() != dataclasses.replace(KEY, **{field: OTHER[field]}).environment()
