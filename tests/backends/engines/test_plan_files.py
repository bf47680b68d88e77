"""Attacks on plans in a folder: each ends in a reason to build again, or in one error."""

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made_plans import BUILT, KEY, ORIN, RTX_4090, RTX_HEADER, make_plan, tensorrt_header

from fer_edge import models
from fer_edge.backends.engines import plan_files
from fer_edge.backends.engines.plan_files import UnusablePlanError, read_plan
from fer_edge.backends.engines.sidecar import sidecar_for
from fer_edge.models import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder with the plan "face"."""
    return make_plan(tmp_path / "engines").path.parent


def test_a_plan_as_it_was_written(folder: Path) -> None:
    plan = read_plan(folder, "face", KEY)
    assert plan.data == (folder / "face.plan").read_bytes()
    assert plan.sidecar == sidecar_for(plan.data, KEY, BUILT)
    assert sorted(path.name for path in folder.iterdir()) == ["face.json", "face.plan"]


def test_a_plan_is_named_by_its_model_and_files_of_one_name_differ(
    detector_file: Path, expression_file: Path, tmp_path: Path
) -> None:
    assert plan_files.plan_name(models.load("face-luma", "detector")) == "face-luma"
    file, names = tmp_path / "model.onnx", []
    for source in (detector_file, expression_file):
        file.write_bytes(source.read_bytes())
        names.append(plan_files.plan_name(models.read(file)))
        assert re.fullmatch(r"model-[0-9a-f]{8}", names[-1])
    assert names[0] != names[1]


def _edit_sidecar(name: str, value: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        record = folder / "face.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {name: value}))

    return edit


def _edit_key(name: str, value: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        record = folder / "face.json"
        values = json.loads(record.read_text())
        values["key"][name] = value
        record.write_text(json.dumps(values))

    return edit


def _flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "face.plan").read_bytes())
    data[-1] ^= 1
    (folder / "face.plan").write_bytes(data)


def _directory_in_its_place(folder: Path) -> None:
    (folder / "face.plan").unlink()
    (folder / "face.plan").mkdir()


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / "face.plan").unlink(), "face.plan does not exist"),
    (lambda folder: (folder / "face.json").unlink(), "face.json does not exist"),
    (lambda folder: (folder / "face.plan").write_bytes(b""), "expected a plan of .*, got no bytes"),
    (lambda folder: os.truncate(folder / "face.plan", 1000), "size: wanted 2080 bytes, found 1000"),
    (_flip_a_bit, r"sha256: wanted \w{16}\.\.\., found \w{16}\.\.\."),
    (lambda folder: (folder / "face.json").write_text("{"), "expected JSON"),
    (lambda folder: (folder / "face.json").write_bytes(b"\xff\xfe"), "cannot be read"),
    (_edit_sidecar("format", 0), "format must be 1, got 0"),
    (_edit_sidecar("sha256", "0" * 64), "sha256: wanted 0000000000000000..., found "),
    (_edit_sidecar("more", 1), "fields must be"),
    (_edit_key("target", "moon"), "the target of tensorrt-rtx must be one of rtx, turing, this, got 'moon'"),
    (_edit_key("product", "cudnn"), "the target of cudnn must be one of"),
    (_directory_in_its_place, "cannot be read"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGE, ids=[reason for _, reason in DAMAGE])
def test_damage_is_a_reason_to_build_again(
    folder: Path, damage: Callable[[Path], object], reason: str
) -> None:
    damage(folder)
    with pytest.raises(UnusablePlanError, match=reason) as caught:
        read_plan(folder, "face")
    assert f"{folder}/face." in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"product_version": "1.7.0.1"}, "product_version: wanted 1.7.0.1, found 1.7.1.116"),
        ({"model_sha256": "b" * 64}, "model_sha256: wanted bbbbbbbbbbbbbbbb..., found aaaaaaaaaaaaaaaa..."),
        ({"gpu": ORIN}, "gpu: wanted Orin .*, found None"),
        (
            {"precision": "int8", "target": "turing"},
            "precision: wanted int8, .*; target: wanted turing, found rtx",
        ),
    ],
)
def test_a_plan_for_something_else(folder: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(UnusablePlanError, match=rf"^{folder}/face.plan does not fit: .*{reason}"):
        read_plan(folder, "face", dataclasses.replace(KEY, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [tensorrt_header(10, 3, 0, 26), RTX_HEADER[:24] + bytes((1, 6, 0, 1))])
def test_a_header_that_the_sidecar_contradicts(tmp_path: Path, header: bytes) -> None:
    make_plan(tmp_path / "engines", header=header)
    with pytest.raises(
        UnusablePlanError, match="the sidecar names another product than its header: tensorrt"
    ):
        read_plan(tmp_path / "engines", "face")


@pytest.mark.parametrize("name", ["", "face.plan", "face.json"])
def test_what_others_can_write_to_is_refused(folder: Path, name: str) -> None:
    (folder / name).chmod(0o777)
    with pytest.raises(ModelError, match="must be writable by its owner only, its mode is 777") as caught:
        read_plan(folder, "face")
    # It must not be mended by building again.
    assert not isinstance(caught.value, UnusablePlanError)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UnusablePlanError, match="engines does not exist"):
        read_plan(tmp_path / "engines", "face")


@pytest.mark.parametrize("name", ["face.plan", "face.json"])
def test_a_write_that_is_cut_off_leaves_no_plan(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = plan_files.storage.write

    def stop(path: Path, data: bytes) -> None:
        if path.name == name:
            raise KeyboardInterrupt
        write(path, data)

    # Stands in for a process that is killed between two system calls.
    monkeypatch.setattr(plan_files.storage, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        make_plan(folder, header=RTX_HEADER + b"new")
    with pytest.raises(UnusablePlanError, match=r"face\.json does not exist"):
        read_plan(folder, "face")


def test_kernels_are_kept_for_one_plan_and_one_gpu(folder: Path) -> None:
    plan = read_plan(folder, "face")
    assert plan_files.read_kernels(plan, RTX_4090) == b""
    plan_files.write_kernels(plan, RTX_4090, b"kernels")
    assert plan_files.read_kernels(plan, RTX_4090) == b"kernels"
    assert plan_files.read_kernels(plan, ORIN) == b""
    other = make_plan(folder, header=RTX_HEADER + b"new")
    assert plan_files.read_kernels(other, RTX_4090) == b""
