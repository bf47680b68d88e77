"""Plans on disk: verified before use, rebuilt in the open, written completely or not at all.

NAME.plan and NAME.json, its sidecar, lie in one folder. A plan that is missing or does not fit raises
`UnusablePlanError` with the reason: it can be built again. A folder that others can write to is an error that
building cannot mend.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fer_edge.backends.engines import blobs, storage
from fer_edge.backends.engines.build import ignore_progress, plan_from_onnx
from fer_edge.backends.engines.gpu import Gpu, this_gpu
from fer_edge.backends.engines.key import Key, Options, differences, key_for
from fer_edge.backends.engines.plan_header import header_from_plan
from fer_edge.backends.engines.products import Product, Target, load, target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.backends.engines.sidecar import Sidecar, sidecar_for
from fer_edge.models import ModelError, ModelFile

_logger = logging.getLogger("fer_edge")


class UnusablePlanError(ModelError):
    """A plan is missing, damaged or for something else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A verified plan: the bytes that were verified, not a path that could change after it."""

    data: bytes
    sidecar: Sidecar
    path: Path


def plan_for(
    model: ModelFile,
    target: Target,
    folder: Path | None = None,
    *,
    options: Options = Options(),  # noqa: B008, frozen
    report: Callable[[Progress], None] = ignore_progress,
    cancelled: threading.Event | None = None,
) -> Plan:
    """Returns the plan of a model from a folder, built first if there is none that fits.

    Args:
        model: the network.
        target: what the plan is for.
        folder: where plans are kept; None: the user's cache, in a folder for this kind of machine.
        options: of the builder.
        report: is called with the progress of a build.
        cancelled: set it to stop a build.

    Raises:
        ModelError: the plan cannot be built, or the folder cannot be used.
        ImportError: the product is not installed.
        CancelledError: ``cancelled`` was set.
    """
    key = key_for(model, target, load(target.product).__version__, gpu := this_gpu(), options)
    if target.this_gpu and gpu is None:
        raise ModelError(
            "a plan for the GPU of this machine needs a GPU and its driver, this machine has none; build on "
            "the device, or choose another target: rtx, turing"
        )
    folder = folder or storage.default_root() / key.environment()
    name = model.path.stem
    try:
        return read_plan(folder, name, key)
    except UnusablePlanError as error:
        _prepare(folder, error)
        # Before the lock, so that a process that has to wait has said why.
        _logger.warning("%s; building the engine%s", error, _duration(folder, name, target))
    with storage.locked(folder):
        try:
            # Another process has built it meanwhile.
            return read_plan(folder, name, key)
        except UnusablePlanError:
            return _build(model, key, target, folder, report, cancelled)


def ready_plan(model: ModelFile, product: Product, folder: Path, gpu: Gpu | None) -> Plan:
    """Returns the plan of a model that was prepared in a folder, for whatever target; builds nothing.

    Raises:
        UnusablePlanError: the plan is missing, damaged, or for another model, product, version or GPU.
        ModelError: others can write into the folder.
        ImportError: the product is not installed.
    """
    plan = read_plan(folder, model.path.stem)
    key = plan.sidecar.key
    if key.product != product.name:
        raise _unusable(folder, model.path.stem, f"product: wanted {product.name}, found {key.product}")
    target = target_for(key.target, product.name)
    if gpu is not None and not target.accepts(gpu):
        raise _unusable(
            folder, model.path.stem, f"it runs on {target.describe}; this machine has {gpu.describe()}"
        )
    wanted = key_for(model, target, load(product).__version__, gpu, key.options)
    if wrong := differences(wanted, key):
        raise _unusable(folder, model.path.stem, "; ".join(wrong))
    return plan


def read_plan(folder: Path, name: str, wanted: Key | None = None) -> Plan:
    """Reads and verifies a plan; ``wanted`` is the key that it must have.

    Raises:
        UnusablePlanError: see the class.
        ModelError: others can write into the folder.
    """
    path, record = folder / f"{name}.plan", folder / f"{name}.json"
    if not folder.is_dir():
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
    except ModelError as error:
        raise UnusablePlanError(f"{path} cannot be used: {error}") from error
    if len(data) != sidecar.size:
        raise _unusable(folder, name, f"size: wanted {sidecar.size} bytes, found {len(data)}")
    if (found := hashlib.sha256(data).hexdigest()) != sidecar.sha256:
        raise _unusable(folder, name, f"sha256: wanted {sidecar.sha256:.16}..., found {found:.16}...")
    if not header.agrees(sidecar.key.product, sidecar.key.product_version):
        raise _unusable(
            folder, name, f"the sidecar names another product than its header: {header.describe()}"
        )
    if wanted is not None and (wrong := differences(wanted, sidecar.key)):
        raise _unusable(folder, name, "; ".join(wrong))
    return Plan(data, sidecar, path)


def write_plan(folder: Path, name: str, plan: bytes, sidecar: Sidecar) -> Plan:
    """Stores a plan; the caller holds the lock. Without a sidecar there is no plan, so it comes last."""
    path, record = folder / f"{name}.plan", folder / f"{name}.json"
    # An old sidecar beside a new plan would look like damage, if the process ended in between.
    record.unlink(missing_ok=True)
    storage.write(path, plan)
    storage.write(record, sidecar.to_json().encode())
    return Plan(plan, sidecar, path)


def _build(
    model: ModelFile,
    key: Key,
    target: Target,
    folder: Path,
    report: Callable[[Progress], None],
    cancelled: threading.Event | None,
) -> Plan:
    timing = folder / blobs.TIMING
    maker = _maker(key, plan_sha256="")
    known = blobs.read(timing, maker) if target.product.times_kernels else None
    new = plan_from_onnx(model, key, target, timing=known or b"", report=report, cancelled=cancelled)
    plan = write_plan(folder, model.path.stem, new.plan, sidecar_for(new.plan, key, new.built))
    if new.timing is not None:
        blobs.write(timing, new.timing, maker)
    layers = ", ".join(f"{count} {precision}" for precision, count in new.built.precisions.items())
    _logger.info("%s was built in %.1f s: %s layers", plan.path, new.built.seconds, layers)
    return plan


def read_kernels(plan: Plan, gpu: Gpu | None) -> bytes:
    """The kernels that TensorRT for RTX compiled for a plan on this GPU; empty if none are kept."""
    return blobs.read(plan.path.with_suffix(blobs.KERNELS), _kernels_maker(plan, gpu)) or b""


def write_kernels(plan: Plan, gpu: Gpu | None, kernels: bytes) -> None:
    """Keeps compiled kernels beside their plan; raises ModelError if the folder cannot be written."""
    storage.prepare(plan.path.parent)
    with storage.locked(plan.path.parent):
        blobs.write(plan.path.with_suffix(blobs.KERNELS), kernels, _kernels_maker(plan, gpu))


def _kernels_maker(plan: Plan, gpu: Gpu | None) -> blobs.Maker:
    return _maker(replace(plan.sidecar.key, gpu=gpu), plan.sidecar.sha256)


def _maker(key: Key, plan_sha256: str) -> blobs.Maker:
    return blobs.Maker(
        product=key.product, product_version=key.product_version, gpu=key.gpu, plan_sha256=plan_sha256
    )


def _prepare(folder: Path, reason: UnusablePlanError) -> None:
    try:
        storage.prepare(folder)
    except ModelError as error:
        raise ModelError(f"{reason}; it must be built again, but {error}") from error


def _duration(folder: Path, name: str, target: Target) -> str:
    """About how long a build takes: as long as the last one of this name, if there was one."""
    try:
        sidecar = Sidecar.from_json((folder / f"{name}.json").read_text(encoding="utf-8"), name)
    except (OSError, ModelError, UnicodeDecodeError):
        return ", which can take minutes" if target.product.times_kernels else ""
    return f" (the last build took {sidecar.built.seconds:.0f} s)"


def _unusable(folder: Path, name: str, reason: str) -> UnusablePlanError:
    return UnusablePlanError(f"{folder / name}.plan does not fit: {reason}")
