"""What lies in a folder of plans, and what is wrong with it."""

import dataclasses
from pathlib import Path

import pytest
from made_plans import KEY, ORIN, RTX_4090, TURING, make_plan, tensorrt_header

from fer_edge.backends.engines import blobs, inventory, plan_files
from fer_edge.backends.engines.blobs import Maker
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.inventory import Entry, entries, remove
from fer_edge.models import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder with the plan "face"."""
    return make_plan(tmp_path / "engines").path.parent


def _problems(folder: Path, gpu: Gpu | None = None) -> dict[str, str]:
    return {entry.path.name: entry.problem for entry in entries(folder, gpu)}


def test_a_plan_that_fits(folder: Path) -> None:
    (entry,) = entries(folder, RTX_4090)
    assert entry == Entry(
        folder / "face.plan",
        plan_files.read_plan(folder, "face").sidecar,
        "",
        (folder / "face.plan", folder / "face.json"),
        ours=True,
    )


def test_kernels_belong_to_their_plan(folder: Path) -> None:
    plan_files.write_kernels(plan_files.read_plan(folder, "face"), RTX_4090, b"kernels")
    (entry,) = entries(folder, RTX_4090)
    assert (entry.problem, len(entry.files)) == ("", 4)
    (folder / "face.kernels").write_bytes(b"tampered")
    assert _problems(folder)["face.plan"].startswith("face.kernels: sha256: wanted ")


def test_a_timing_cache(folder: Path) -> None:
    maker = Maker(product="tensorrt", product_version="10.3.0", gpu=ORIN, plan_sha256="")
    blobs.write(folder / blobs.TIMING, b"times", maker)
    assert _problems(folder) == {"face.plan": "", "timing.cache": ""}
    (folder / "timing.cache.json").unlink()
    assert "No such file" in _problems(folder)["timing.cache"]


@pytest.mark.parametrize(("missing", "ours"), [("face.plan", True), ("face.json", False)])
def test_half_a_plan(folder: Path, missing: str, ours: bool) -> None:
    (folder / missing).unlink()
    (entry,) = entries(folder, None)
    assert (entry.problem, entry.ours) == (f"{folder / missing} does not exist", ours)


def test_everything_in_the_users_cache_is_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "face.json").unlink()
    monkeypatch.setattr(inventory.storage, "default_root", lambda: folder.parent)
    assert [entry.ours for entry in entries(folder, None)] == [True]


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"format": 1}', "[" * 100_000])
def test_json_files_of_others_are_not_looked_at(folder: Path, text: str) -> None:
    (folder / "package.json").write_text(text)
    (folder / "download.partial").touch()
    assert _problems(folder) == {"face.plan": ""}


@pytest.mark.parametrize("name", ["face.plan.partial", ".probe-77"])
def test_what_a_killed_process_leaves(folder: Path, name: str) -> None:
    (folder / name).touch()
    (folder / "README").touch()
    assert _problems(folder) == {
        "face.plan": "",
        name: "it was left behind by a process that was stopped",
    }


def test_a_plan_of_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands in for an installation of another version.
    monkeypatch.setattr(inventory, "installed_version", lambda product: "1.8.0.5")
    assert _problems(folder) == {
        "face.plan": "it was built with tensorrt-rtx 1.7.1.116, installed is 1.8.0.5"
    }


def test_a_portable_plan_on_a_gpu_that_cannot_run_it(folder: Path) -> None:
    assert _problems(folder, TURING)["face.plan"].startswith("it does not run on NVIDIA GeForce RTX 2080")


def test_a_plan_for_another_gpu(tmp_path: Path) -> None:
    key = dataclasses.replace(
        KEY, product="tensorrt", product_version="10.3.0", target="this", gpu=dataclasses.replace(ORIN)
    )
    folder = make_plan(tmp_path / "engines", key=key, header=tensorrt_header(10, 3, 0, 26)).path.parent
    assert _problems(folder, ORIN) == {"face.plan": ""}
    # A machine without a GPU cannot say.
    assert _problems(folder, None) == {"face.plan": ""}
    newer = dataclasses.replace(ORIN, driver="13.2")
    assert _problems(folder, newer)["face.plan"] == (
        f"it was built for {ORIN.describe()}, this machine has {newer.describe()}"
    )


def test_removing_an_entry(folder: Path) -> None:
    make_plan(folder, "other")
    entry = next(entry for entry in entries(folder, None) if entry.path.name == "face.plan")
    remove(entry)
    assert _problems(folder) == {"other.plan": ""}


def test_nothing_is_said_about_a_folder_that_others_can_write_to(folder: Path) -> None:
    folder.chmod(0o770)
    with pytest.raises(ModelError, match="must be writable by its owner only"):
        list(entries(folder, None))


def test_the_cache_has_a_folder_for_each_kind_of_machine(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "file").touch()
    assert inventory.folders_below(tmp_path) == [tmp_path, tmp_path / "a", tmp_path / "b"]
