"""Round trip of the manifest; an invalid manifest is refused with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_folder
import pytest

from fer_edge.aot.manifest import NAME, Axis, Buffer, Manifest, blocks_from_grid, read
from fer_edge.models import ModelError

Edit = Callable[[dict[str, Any]], object]
FIRST = "first-0123"


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    text = (folder / NAME).read_text(encoding="utf-8")
    again = read(folder)
    assert again == made_folder.write(folder)
    assert again.to_json() == text
    # Types are compared too, because True == 1 and 16 == 16.0.
    constants = again.kernels[FIRST].constants
    assert [type(value) for value in constants.values()] == [int, float, bool]


EDITS: dict[str, tuple[Edit, str]] = {
    "other format": (lambda m: m.update(format=99), r"format must be 1, got 99; build"),
    "unknown field": (lambda m: m.update(extra=1), r"fields must be format, .*got .*extra"),
    "missing field": (lambda m: m.pop("triton"), r"fields must be format, .*triton"),
    "text for a number": (
        lambda m: m["kernels"][FIRST].update(num_warps="2"),
        r"kernels\['first-0123'\]: num_warps: expected int, got '2'",
    ),
    "truth for a number": (lambda m: m["kernels"][FIRST].update(num_warps=True), "expected int, got True"),
    "number for a list": (lambda m: m.update(architectures=87), r"architectures: expected tuple.*got 87"),
    "unknown role": (
        lambda m: m["operations"][0]["buffers"]["x"].update(role="result"),
        r"operations\[0\]: buffers\['x'\]: role: expected .*got 'result'",
    ),
    "unknown dtype": (
        lambda m: m["operations"][0]["buffers"]["x"].update(dtype="fp8"),
        "unknown dtype 'fp8'",
    ),
    "unknown side": (
        lambda m: m["operations"][0]["buffers"]["x"].update(shape=["images", "faces"]),
        r"x has the sides \['images', 'faces'\]",
    ),
    "unknown kernel": (
        lambda m: m["operations"][0]["launches"][0].update(kernel="third"),
        "kernel 'third' is not listed",
    ),
    "unknown buffer": (
        lambda m: m["operations"][0]["launches"][0].update(pointers=["x", "z"]),
        r"takes pointers to \['fp16', 'fp32'\], got \['fp16'\]",
    ),
    "buffer of another dtype": (
        lambda m: m["operations"][0]["launches"][0].update(pointers=["x", "weight"]),
        r"takes pointers to \['fp16', 'fp32'\], got \['fp16', 'fp16'\]",
    ),
    "four axes": (lambda m: m["operations"][0]["launches"][0].update(grid=[1, 1, 1, 1]), "three axes, got 4"),
    "empty axis": (lambda m: m["operations"][0]["launches"][0].update(grid=[0]), "axes of 1 or more, got 0"),
    "division by zero": (
        lambda m: m["operations"][0]["launches"][0].update(grid=[{"per_image": 1, "block": 0}]),
        "axes of 1 or more, got Axis",
    ),
    "missing binary": (lambda m: m["kernels"][FIRST]["binaries"].pop("87"), "no binary for 87"),
    "unlisted architecture": (lambda m: m.update(architectures=[75, 87]), "sm_90 is not in architectures"),
    "no threads": (
        lambda m: m["kernels"][FIRST]["binaries"]["87"].update(threads=0),
        "threads must be 1 or more, got 0",
    ),
    "name outside the folder": (
        lambda m: m["kernels"][FIRST]["binaries"]["87"]["cubin"].update(name="../sm_87/first.cubin"),
        r"must be sm_<number>/<name>, got '\.\./sm_87",
    ),
    "name of a parent": (
        lambda m: m["kernels"][FIRST]["binaries"]["87"]["cubin"].update(name="sm_87/.."),
        r"must be sm_<number>/<name>",
    ),
    "absolute name": (
        lambda m: m["kernels"][FIRST]["binaries"]["87"]["ptx"].update(name="/sm_87/first.ptx"),
        r"must be sm_<number>/<name>",
    ),
    "file twice": (
        lambda m: m["kernels"][FIRST]["binaries"]["87"]["ptx"].update(name="sm_75/first.ptx"),
        "sm_75/first.ptx is listed twice",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_invalid_manifest_is_refused(folder: Path, name: str) -> None:
    edit, message = EDITS[name]
    values = json.loads((folder / NAME).read_text(encoding="utf-8"))
    edit(values)
    with pytest.raises(ModelError, match=message):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json: expected"):
        Manifest.from_json(text)


def test_missing_manifest_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no readable manifest\.json.*build it with"):
        read(tmp_path)


def test_sizes_and_grids_follow_the_images() -> None:
    buffer = Buffer(role="input", dtype="fp16", shape=("images", 16, 3, 3), channels_last=True)
    assert [buffer.size(images) for images in (0, 1, 7)] == [0, 288, 2016]
    grid = (Axis(per_image=9, block=16), 5)
    assert [blocks_from_grid(grid, images) for images in (1, 2, 16)] == [(1, 5), (2, 5), (9, 5)]
