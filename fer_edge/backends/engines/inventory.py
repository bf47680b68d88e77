"""What lies in a folder of plans: each plan with what it is, and everything that is wrong."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_edge.backends.engines import blobs, storage
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.plan_files import UnusablePlanError, read_plan
from fer_edge.backends.engines.products import PRODUCTS, installed_version, target_for
from fer_edge.backends.engines.sidecar import Sidecar
from fer_edge.models import ModelError

_PARTIAL = tuple(f"{suffix}.partial" for suffix in (".plan", ".json", *blobs.SUFFIXES))


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan, or a file that belongs to none.

    Attributes:
        path: of the plan or file.
        sidecar: of a plan that is whole.
        problem: why it will not be used on this machine; empty if it will.
        files: that belong to it.
        ours: whether the files are certainly of this package: in the user's cache, or with a sidecar.
    """

    path: Path
    sidecar: Sidecar | None
    problem: str
    files: tuple[Path, ...]
    ours: bool


def folders_below(root: Path) -> list[Path]:
    """The folder itself and those in it: the user's cache has one for each kind of machine."""
    return [root, *sorted(path for path in root.iterdir() if path.is_dir())]


def entries(folder: Path, gpu: Gpu | None) -> Iterator[Entry]:
    """Everything in a folder; ``gpu`` is this machine's, None if it has none.

    Raises:
        ModelError: others can write into the folder, so that nothing in it can be trusted.
    """
    storage.require_private(folder)
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    versions = {name: installed_version(product) for name, product in PRODUCTS.items()}
    cache = folder.resolve().is_relative_to(storage.default_root().resolve())
    seen = {storage.LOCK}
    for name in sorted({path.stem for path in files.values() if _is_of_plan(path)}):
        kernels = f"{name}{blobs.KERNELS}"
        own = [n for n in (f"{name}.plan", f"{name}.json", kernels, f"{kernels}.json") if n in files]
        seen.update(own)
        ours = cache or _is_sidecar(folder / f"{name}.json")
        if ours or f"{name}.plan" in files:
            sidecar, problem = _plan_and_problem(folder, name, own, versions, gpu)
            yield Entry(folder / f"{name}.plan", sidecar, problem, tuple(files[n] for n in own), ours)
    if blobs.TIMING in files:
        record = f"{blobs.TIMING}.json"
        seen |= {blobs.TIMING, record}
        own_files = tuple(files[n] for n in (blobs.TIMING, record) if n in files)
        yield Entry(files[blobs.TIMING], None, _blob_problem(files[blobs.TIMING]), own_files, ours=True)
    for name, path in files.items():
        if name not in seen and (name.endswith(_PARTIAL) or name.startswith(storage.PROBE)):
            yield Entry(path, None, "it was left behind by a process that was stopped", (path,), ours=True)


def remove(entry: Entry) -> None:
    """Deletes the files of an entry; raises ModelError if one cannot be deleted."""
    for path in entry.files:
        storage.delete(path)


def _is_of_plan(path: Path) -> bool:
    if path.suffix == ".json":
        return not path.stem.endswith(blobs.SUFFIXES)
    return path.suffix == ".plan"


def _is_sidecar(path: Path) -> bool:
    """Whether a JSON file is a sidecar, perhaps a damaged one: others may have their files here too."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and {"format", "sha256", "key", "built"} <= values.keys()


def _plan_and_problem(
    folder: Path, name: str, files: list[str], versions: dict[str, str | None], gpu: Gpu | None
) -> tuple[Sidecar | None, str]:
    try:
        sidecar = read_plan(folder, name).sidecar
    except UnusablePlanError as error:
        return None, str(error)
    kernels = f"{name}{blobs.KERNELS}"
    problem = _why_not_here(sidecar, versions, gpu)
    return sidecar, problem or (_blob_problem(folder / kernels) if kernels in files else "")


def _why_not_here(sidecar: Sidecar, versions: dict[str, str | None], gpu: Gpu | None) -> str:
    """Why a plan that is whole does not fit this machine, as far as the machine can say."""
    key = sidecar.key
    version = versions.get(key.product)
    if version is not None and version != key.product_version:
        return f"it was built with {key.product} {key.product_version}, installed is {version}"
    if gpu is None:
        return ""
    if key.gpu is not None and key.gpu != gpu:
        return f"it was built for {key.gpu.describe()}, this machine has {gpu.describe()}"
    if not target_for(key.target, key.product).accepts(gpu):
        return f"it does not run on {gpu.describe()}"
    return ""


def _blob_problem(path: Path) -> str:
    try:
        blobs.verified(path)
    except (OSError, ModelError) as error:
        return f"{path.name}: {error}"
    return ""
