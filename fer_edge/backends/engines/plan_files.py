"""Plans on disk: verified before use, written completely or not at all.

NAME.plan and NAME.json, its sidecar, lie in one folder; `plan_name` gives NAME. A plan that is missing or
does not fit raises `UnusablePlanError` with the reason: it can be built again. A folder that others can write
to is an error that building cannot mend.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from fer_edge.backends.engines import blobs, storage
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.key import Key, differences
from fer_edge.backends.engines.plan_header import header_from_plan
from fer_edge.backends.engines.products import target_for
from fer_edge.backends.engines.sidecar import Sidecar
from fer_edge.models import WEIGHTS, ModelError, ModelFile


class UnusablePlanError(ModelError):
    """A plan is missing, damaged or for something else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A verified plan: the bytes that were verified, not a path that could change after it."""

    data: bytes
    sidecar: Sidecar
    path: Path


def plan_name(model: ModelFile) -> str:
    """The name of a model's plan: an embedded model's own; other files of one name differ by their hash."""
    name = model.path.stem
    return name if model.path.parent == WEIGHTS else f"{name}-{model.sha256[:8]}"


def read_plan(folder: Path, name: str, wanted: Key | None = None) -> Plan:
    """Reads and verifies a plan; ``wanted`` is the key that it must have.

    Raises:
        UnusablePlanError: see the class.
        ModelError: others can write into the folder.
    """
    path, record = folder / f"{name}.plan", folder / f"{name}.json"
    try:
        there = folder.is_dir()
    except PermissionError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from error
    if not there:
        raise UnusablePlanError(f"{folder} does not exist")
    storage.require_private(folder)
    try:
        text = storage.read_private(record).decode()
        data = storage.read_private(path)
    except FileNotFoundError as error:
        raise UnusablePlanError(f"{error.filename} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnusablePlanError(f"{record} or its plan cannot be read ({error})") from error
    try:
        sidecar = Sidecar.from_json(text, str(record))
        header = header_from_plan(data)
        target_for(sidecar.key.target, sidecar.key.product)
    except (ModelError, ValueError) as error:
        raise UnusablePlanError(f"{path} cannot be used: {error}") from error
    if len(data) != sidecar.size:
        raise does_not_fit(folder, name, f"size: wanted {sidecar.size} bytes, found {len(data)}")
    if (found := hashlib.sha256(data).hexdigest()) != sidecar.sha256:
        raise does_not_fit(folder, name, f"sha256: wanted {sidecar.sha256:.16}..., found {found:.16}...")
    if not header.agrees(sidecar.key.product, sidecar.key.product_version):
        raise does_not_fit(
            folder, name, f"the sidecar names another product than its header: {header.describe()}"
        )
    if wanted is not None and (wrong := differences(wanted, sidecar.key)):
        raise does_not_fit(folder, name, "; ".join(wrong))
    return Plan(data, sidecar, path)


def write_plan(folder: Path, name: str, plan: bytes, sidecar: Sidecar) -> Plan:
    """Stores a plan; the caller holds the lock. Without a sidecar there is no plan, so it comes last."""
    path, record = folder / f"{name}.plan", folder / f"{name}.json"
    # An old sidecar beside a new plan would look like damage, if the process ended in between.
    storage.delete(record)
    storage.write(path, plan)
    storage.write(record, sidecar.to_json().encode())
    return Plan(plan, sidecar, path)


def read_kernels(plan: Plan, gpu: Gpu | None) -> bytes:
    """The kernels that TensorRT for RTX compiled for a plan on this GPU; empty if none are kept."""
    return blobs.read(plan.path.with_suffix(blobs.KERNELS), _kernels_maker(plan, gpu)) or b""


def write_kernels(plan: Plan, gpu: Gpu | None, kernels: bytes) -> None:
    """Keeps compiled kernels beside their plan; raises ModelError if the folder is in use or read-only."""
    storage.prepare(plan.path.parent)
    # They only save time, so nobody waits for another process's build to keep them.
    with storage.locked_at_once(plan.path.parent):
        blobs.write(plan.path.with_suffix(blobs.KERNELS), kernels, _kernels_maker(plan, gpu))


def _kernels_maker(plan: Plan, gpu: Gpu | None) -> blobs.Maker:
    return maker_of(replace(plan.sidecar.key, gpu=gpu), plan.sidecar.sha256)


def maker_of(key: Key, plan_sha256: str) -> blobs.Maker:
    """What a blob beside plans with this key depends on."""
    return blobs.Maker(
        product=key.product, product_version=key.product_version, gpu=key.gpu, plan_sha256=plan_sha256
    )


def does_not_fit(folder: Path, name: str, reason: str) -> UnusablePlanError:
    """The error for a plan that is not what its user needs."""
    return UnusablePlanError(f"{folder / name}.plan does not fit: {reason}")
