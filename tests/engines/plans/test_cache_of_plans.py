"""Attacks on real plans: each ends in a new plan or in one error that says how to go on."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from small_networks import float16_nodes, int8_nodes, write

from fer_edge import models
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.inventory import entries
from fer_edge.backends.engines.plan_files import UnusablePlanError, plan_name, read_plan
from fer_edge.backends.engines.plans import plan_for, ready_plan
from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.cli import main
from fer_edge.models import ModelError, ModelFile

pytestmark = pytest.mark.engines

RTX = target_for("rtx")
RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", compute_capability=89, multiprocessors=128, driver="13.0")
ORIN = Gpu(name="Orin", compute_capability=87, multiprocessors=16, driver="12.6")
COMMAND = "import sys; from fer_edge.cli import main; sys.exit(main())"
# Builds face-luma into argv[1]; the process is killed when half of the plan's bytes are on the disk.
KILLED_WHILE_WRITING = """
import os, signal, sys
from fer_edge.cli import main
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
main(["build", "face-luma", "--for", "rtx", "--out", sys.argv[1]])
"""


def _must_not_build(progress: Progress) -> None:
    raise AssertionError("a plan that fits must not be built again")


def test_a_plan_that_fits_is_not_built_again(folder: Path, detector: ModelFile) -> None:
    before = (folder / "face-luma.plan").read_bytes()
    plan = plan_for(detector, RTX, folder, report=_must_not_build)
    assert plan.data == before == (folder / "face-luma.plan").read_bytes()


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _tamper(folder: Path) -> None:
    with (folder / "face-luma.plan").open("r+b") as file:
        file.seek(100_000)
        byte = file.read(1)
        file.seek(100_000)
        file.write(bytes([byte[0] ^ 1]))


def _edit_key(name: str, value: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        record = folder / "face-luma.json"
        values = json.loads(record.read_text())
        values["key"][name] = value
        record.write_text(json.dumps(values))

    return edit


def _swap(folder: Path) -> None:
    (folder / "tkfnet-nano-float32.plan").replace(folder / "face-luma.plan")


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda f: os.truncate(f / "face-luma.plan", 200_000), "size: wanted "),
    "tampered": (_tamper, "sha256: wanted "),
    "empty": (_write("face-luma.plan", b""), "got no bytes"),
    "something else": (_write("face-luma.plan", b"\x7fELF" * 100), "expected a plan of"),
    "another model's plan": (_swap, "size: wanted "),
    "sidecar without plan": (lambda f: (f / "face-luma.plan").unlink(), "face-luma.plan does not exist"),
    "plan without sidecar": (lambda f: (f / "face-luma.json").unlink(), "face-luma.json does not exist"),
    "broken sidecar": (_write("face-luma.json", b"{"), "expected JSON"),
    "another version": (_edit_key("product_version", "1.6.0.1"), "another product than its header"),
    "another product": (_edit_key("product", "tensorrt"), "the target of tensorrt must be one of"),
    "another model": (_edit_key("model_sha256", "b" * 64), "model_sha256: wanted "),
    "another target": (_edit_key("target", "turing"), "target: wanted rtx, found turing"),
    "another platform": (_edit_key("platform", "linux-riscv"), "platform: wanted linux-"),
    "another recipe": (_edit_key("recipe", 0), "recipe: wanted 1, found 0"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_in_a_new_plan_and_a_reason(
    folder: Path, detector: ModelFile, attack: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = read_plan(folder, "face-luma")
    damage, reason = ATTACKS[attack]
    damage(folder)
    plan = plan_for(detector, RTX, folder)
    assert reason in caplog.text
    assert "building the engine" in caplog.text
    assert plan.sidecar.key == before.sidecar.key
    assert read_plan(folder, "face-luma", plan.sidecar.key).data == plan.data
    assert not list(folder.glob("*.partial"))


def test_a_folder_that_others_can_write_to_is_refused(folder: Path, detector: ModelFile) -> None:
    folder.chmod(0o777)
    with pytest.raises(ModelError, match="must be writable by its owner only, its mode is 777"):
        plan_for(detector, RTX, folder, report=_must_not_build)


@pytest.fixture
def read_only(folder: Path) -> Iterator[Path]:
    """The folder, for a user who may read it only."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        # pytest's folders, of this run and of all runs (one more level in a worker), are closed to others.
        for parent in folder.parents:
            if Path(tempfile.gettempdir()) in parent.parents:
                parent.chmod(0o755)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)


def test_a_read_only_folder_is_enough_for_a_plan_that_fits(read_only: Path, detector: ModelFile) -> None:
    assert plan_for(detector, RTX, read_only, report=_must_not_build).data


def test_a_read_only_folder_with_a_plan_that_does_not_fit(read_only: Path, detector: ModelFile) -> None:
    with pytest.raises(
        ModelError, match=r"target: wanted turing, found rtx; .* but cannot write .*Permission denied"
    ):
        plan_for(detector, target_for("turing"), read_only, report=_must_not_build)


def test_two_processes_at_once_build_one_plan(tensorrt: ModuleType, tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMMAND, "build", "face-luma", "--for", "rtx"]
    command += ["--out", str(tmp_path / "e")]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    texts = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("was there, and fits" in text for text in texts) == [False, True]
    assert read_plan(tmp_path / "e", "face-luma").data


def test_a_process_that_is_killed_while_it_writes(
    tensorrt: ModuleType, detector: ModelFile, tmp_path: Path
) -> None:
    folder = tmp_path / "e"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, folder], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "face-luma.plan.partial"]
    assert [entry.path.name for entry in entries(folder, None)] == ["face-luma.plan.partial"]
    assert plan_for(detector, RTX, folder).data
    assert [entry.problem for entry in entries(folder, None)] == [""]


def test_a_prepared_plan_is_taken_without_a_build(folder: Path, detector: ModelFile) -> None:
    plan = ready_plan(detector, TENSORRT_RTX, folder, RTX_4090, plugins=False)
    assert plan.data == (folder / "face-luma.plan").read_bytes()


@pytest.mark.parametrize(
    ("product", "gpu", "reason"),
    [
        (TENSORRT, ORIN, "product: wanted tensorrt, found tensorrt-rtx"),
        (TENSORRT_RTX, ORIN, "it runs on GPUs of the generations Ampere.*; this machine has Orin"),
    ],
)
def test_a_prepared_plan_for_something_else(
    folder: Path, detector: ModelFile, product: object, gpu: Gpu, reason: str
) -> None:
    with pytest.raises(UnusablePlanError, match=reason):
        ready_plan(detector, product, folder, gpu, plugins=False)  # type: ignore[arg-type]


def test_a_prepared_plan_of_another_file(folder: Path, expression_file: Path) -> None:
    model = models.read(expression_file)
    for suffix in (".plan", ".json"):
        (folder / f"face-luma{suffix}").rename(folder / f"{plan_name(model)}{suffix}")
    with pytest.raises(UnusablePlanError, match="model_sha256: wanted "):
        ready_plan(model, TENSORRT_RTX, folder, RTX_4090, plugins=False)


def test_the_commands(tensorrt: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "e")
    assert (
        main(["build", "tkfnet-nano-float32", "tkfnet-nano", "face-luma", "--for", "rtx", "--out", out]) == 1
    )
    captured = capsys.readouterr()
    assert [line.split(":")[0] for line in captured.out.splitlines()[::2]] == [
        f"{out}/tkfnet-nano-float32.plan",
        f"{out}/face-luma.plan",
    ]
    assert re.search(
        r"tkfnet-nano-float32.plan: built in .* layers: \d+ float32, confirmed in the n", captured.out
    )
    assert "cannot read" in captured.err
    assert main(["engines", "verify", out]) == 0
    assert capsys.readouterr().out == "2 as they were built, 0 not\n"
    os.truncate(f"{out}/face-luma.plan", 10)
    assert main(["engines", "verify", out]) == 1
    assert main(["engines", "prune", out]) == 0
    assert main(["engines", "verify", out]) == 0
    assert capsys.readouterr().out.endswith("1 as they were built, 0 not\n")


def test_the_command_builds_two_models_with_one_file_name(tensorrt: ModuleType, tmp_path: Path) -> None:
    folder, files = tmp_path / "e", [tmp_path / name / "model.onnx" for name in "ab"]
    for file, (nodes, weights) in zip(files, (float16_nodes(), int8_nodes(activations=True)), strict=True):
        file.parent.mkdir()
        write(file, nodes, weights)
    assert main(["build", *map(str, files), "--for", "rtx", "--out", str(folder)]) == 0
    for file in files:
        model = models.read(file)
        assert (
            ready_plan(model, TENSORRT_RTX, folder, RTX_4090, plugins=False).sidecar.key.model_sha256
            == model.sha256
        )


def test_without_a_folder_plans_go_to_the_users_cache(
    tensorrt: ModuleType, detector: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = plan_for(detector, RTX)
    assert plan.path.parent == tmp_path / "fer_edge/engines" / plan.sidecar.key.environment()
    assert main(["engines", "verify"]) == 0
