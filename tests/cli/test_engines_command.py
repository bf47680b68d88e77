"""`fer-edge engines list | verify | prune` on folders of plans."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_plans import RTX_HEADER, make_plan

from fer_edge.backends.engines import storage
from fer_edge.cli import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the plan "face"."""
    return make_plan(tmp_path / "engines").path.parent


def _engines(*arguments: object) -> int:
    return main(["engines", *map(str, arguments)])


def test_a_folder_in_order(folder: Path, capsys: Output) -> None:
    assert _engines("list", folder) == 0
    line = f"{folder}/face.plan: float32, tensorrt-rtx 1.7.1.116 for rtx, 0.0 MB\n"
    assert capsys.readouterr().out == line
    assert _engines("verify", folder) == 0
    assert capsys.readouterr().out == "1 as they were built, 0 not\n"
    assert _engines("prune", folder) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "face.plan").exists()


def test_a_tampered_plan(folder: Path, capsys: Output) -> None:
    make_plan(folder, "other")
    data = (folder / "face.plan").read_bytes()
    (folder / "face.plan").write_bytes(data[:-1] + b"!")
    assert _engines("list", folder) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder}/face.plan: {folder}/face.plan does not fit: sha256: wanted ")
    assert lines[1].endswith("0.0 MB")
    assert _engines("verify", folder) == 1
    captured = capsys.readouterr()
    assert captured.out == "1 as they were built, 1 not\n"
    assert captured.err.splitlines() == lines[:1]
    assert _engines("prune", folder) == 0
    assert capsys.readouterr().out == f"deleted {lines[0]}\n"
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "other.json", "other.plan"]
    assert _engines("verify", folder) == 0


def test_the_list_as_json(folder: Path, capsys: Output) -> None:
    (folder / "half.plan").write_bytes(RTX_HEADER)
    assert _engines("list", "--json", folder) == 1
    whole, half = json.loads(capsys.readouterr().out)
    assert (whole["path"], whole["problem"]) == (f"{folder}/face.plan", "")
    assert whole["sidecar"]["key"]["product"] == "tensorrt-rtx"
    assert (half["problem"], half["sidecar"]) == (f"{folder}/half.json does not exist", None)


def test_a_plan_of_somebody_else_is_not_deleted(folder: Path, capsys: Output) -> None:
    (folder / "theirs.plan").write_bytes(RTX_HEADER)
    assert _engines("prune", folder) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "fer-edge: kept, because no sidecar says whose it is; delete it yourself, or build it again: "
        f"{folder}/theirs.plan: {folder}/theirs.json does not exist\n"
    )
    assert (folder / "theirs.plan").exists()


@pytest.fixture
def half_written(folder: Path) -> Iterator[Path]:
    """A folder in which a build has written all but the sidecar of "other"."""
    plan = make_plan(folder, "other").path
    plan.with_suffix(".json").rename(folder / "other.json.partial")
    with storage.locked(folder):
        yield folder


@pytest.mark.parametrize("action", ["list", "verify"])
def test_a_running_build_is_no_damage(half_written: Path, action: str, capsys: Output) -> None:
    assert _engines(action, half_written) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        f"fer-edge: another process is building into {half_written}; try again when it has ended\n"
    )
    assert len(captured.out.splitlines()) == 1
    assert "other" not in captured.out
    assert action == "list" or captured.out == "1 as they were built, 0 not\n"


def test_a_running_build_is_not_pruned(half_written: Path, tmp_path: Path, capsys: Output) -> None:
    before = sorted(half_written.iterdir())
    (make_plan(tmp_path / "later").path.parent / "face.plan").write_bytes(b"damaged")
    # The other folders below are pruned.
    assert _engines("prune", tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        f"fer-edge: another process is building into {half_written}; try again when it has ended\n"
    )
    assert captured.out.startswith(f"deleted {tmp_path}/later/face.plan: ")
    assert sorted(half_written.iterdir()) == before


def test_a_folder_in_order_is_not_written_to(folder: Path) -> None:
    before = sorted(folder.iterdir())
    assert _engines("prune", folder) == 0
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_a_folder_that_this_user_may_not_read(locked: Path, action: str, capsys: Output) -> None:
    assert _engines(action, locked) == 1
    assert capsys.readouterr().err == f"fer-edge: {locked} cannot be used: Permission denied\n"


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_a_folder_that_others_can_write_to(folder: Path, action: str, capsys: Output) -> None:
    folder.chmod(0o777)
    assert _engines(action, folder) == 1
    assert f"{folder} must be writable by its owner only" in capsys.readouterr().err
    assert (folder / "face.plan").exists()


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: Output) -> None:
    assert _engines("list", tmp_path / "none") == 2
    assert capsys.readouterr().err == f"fer-edge: {tmp_path}/none is no folder\n"


def test_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _engines("verify") == 0
    assert capsys.readouterr().out == "0 as they were built, 0 not\n"
    root = tmp_path / "fer_edge" / "engines"
    root.mkdir(mode=0o700, parents=True)
    for machine in ("a", "b"):
        make_plan(root / machine)
    assert _engines("list") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("arguments", [[], ["delete"]])
def test_wrong_usage(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        _engines(*arguments)
    assert caught.value.code == 2
    assert "usage: fer-edge engines" in capsys.readouterr().err
