"""The door to plans: one that fits is loaded, any other is built again, in the open.

A plan that is prepared elsewhere (`ready_plan`) is loaded or refused. Both return bytes that were verified.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fer_edge.backends.engines import blobs, storage
from fer_edge.backends.engines.build import ignore_progress, plan_from_onnx
from fer_edge.backends.engines.gpu import Gpu, this_gpu
from fer_edge.backends.engines.key import Key, Options, differences, key_for
from fer_edge.backends.engines.plan_files import (
    Plan,
    UnusablePlanError,
    does_not_fit,
    maker_of,
    plan_name,
    read_plan,
    write_plan,
)
from fer_edge.backends.engines.products import Product, Target, load, target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.backends.engines.sidecar import Sidecar, sidecar_for
from fer_edge.models import ModelError, ModelFile

_logger = logging.getLogger("fer_edge")


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
    name = plan_name(model)
    try:
        return read_plan(folder, name, key)
    except UnusablePlanError as error:
        _prepare(folder, name, error)
        # Before the lock, so that a process that has to wait has said why.
        _announce(error, model, target, folder)
    with storage.locked(folder, cancelled):
        try:
            # Another process has built it meanwhile.
            return read_plan(folder, name, key)
        except UnusablePlanError:
            return _build(model, key, target, folder, report, cancelled)


def ready_plan(model: ModelFile, product: Product, folder: Path, gpu: Gpu | None, *, plugins: bool) -> Plan:
    """Returns the plan of a model that was prepared in a folder, for whatever target; builds nothing.

    Raises:
        UnusablePlanError: the plan is missing, damaged, or for another model, product, version or GPU; or it
            has plugins and is wanted without, or the other way round. Other options are free.
        ModelError: others can write into the folder.
        ImportError: the product is not installed.
    """
    name = plan_name(model)
    plan = read_plan(folder, name)
    key = plan.sidecar.key
    if key.product != product.name:
        raise does_not_fit(folder, name, f"product: wanted {product.name}, found {key.product}")
    target = target_for(key.target, product.name)
    if gpu is not None and not target.accepts(gpu):
        raise does_not_fit(folder, name, f"it runs on {target.describe}; this machine has {gpu.describe()}")
    options = replace(key.options, plugins=plugins)
    wanted = key_for(model, target, load(product).__version__, gpu, options)
    if wrong := differences(wanted, key):
        raise does_not_fit(folder, name, "; ".join(wrong))
    return plan


def _build(
    model: ModelFile,
    key: Key,
    target: Target,
    folder: Path,
    report: Callable[[Progress], None],
    cancelled: threading.Event | None,
) -> Plan:
    timing = folder / blobs.TIMING
    maker = maker_of(key, plan_sha256="")
    known = blobs.read(timing, maker) if target.product.times_kernels else None
    new = plan_from_onnx(model, key, target, timing=known or b"", report=report, cancelled=cancelled)
    plan = write_plan(folder, plan_name(model), new.plan, sidecar_for(new.plan, key, new.built))
    if new.timing is not None:
        blobs.write(timing, new.timing, maker)
    layers = ", ".join(f"{count} {precision}" for precision, count in new.built.precisions.items())
    _logger.info("%s was built in %.1f s: %s layers", plan.path, new.built.seconds, layers)
    return plan


def _prepare(folder: Path, name: str, reason: UnusablePlanError) -> None:
    try:
        storage.prepare(folder, (f"{name}.plan", f"{name}.json"))
    except ModelError as error:
        raise ModelError(f"{reason}; it must be built again, but {error}") from error


def _announce(reason: UnusablePlanError, model: ModelFile, target: Target, folder: Path) -> None:
    _logger.warning("%s; building the engine%s", reason, _duration(folder, plan_name(model), target))
    if model.precision not in target.product.precisions:
        _logger.warning(
            "%s is %s; for %s NVIDIA documents convolutions in %s only, so the engine may compute in one of "
            "those, and be slower than that of a float16 file",
            *(model.path, model.precision, target.product.name, ", ".join(target.product.precisions)),
        )


def _duration(folder: Path, name: str, target: Target) -> str:
    """About how long a build takes: as long as the last one of this name, if there was one."""
    try:
        sidecar = Sidecar.from_json((folder / f"{name}.json").read_text(encoding="utf-8"), name)
    except (OSError, ModelError, UnicodeDecodeError):
        return ", which can take minutes" if target.product.times_kernels else ""
    return f" (the last build took {sidecar.built.seconds:.0f} s)"
