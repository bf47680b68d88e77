"""From an ONNX file to a plan, on the device that will run it or, with TensorRT for RTX, on any machine.

The network is strongly typed: TensorRT computes in the types that the file says, in all versions from 10.3
on. Flags and calibration for precisions, which older programs use, do not exist in version 11.
"""

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

from fer_edge.backends.engines.key import Key, Options
from fer_edge.backends.engines.native import check, logger_of, make_builder, make_runtime, reasons_of
from fer_edge.backends.engines.plan_header import header_from_plan
from fer_edge.backends.engines.plugins.registration import register_for_builds
from fer_edge.backends.engines.precision import confirm_engine, confirm_network, layer_precisions
from fer_edge.backends.engines.products import Target, load
from fer_edge.backends.engines.progress import Progress, build_with_progress
from fer_edge.backends.engines.sidecar import Binding, Built
from fer_edge.backends.engines.storage import LOOK_EVERY_S
from fer_edge.backends.engines.surface import (
    PRECISIONS,
    Bindings,
    BuilderConfig,
    EngineBuilder,
    HostMemory,
    Network,
    Tensor,
)
from fer_edge.models import ModelError, ModelFile
from fer_edge.onnx_file import weight_precisions_from_onnx, without_functions

_logger = logging.getLogger("fer_edge")
# Where in TensorRT's own source an error was raised.
_SOURCE_LINE = re.compile(r"\.? In \w+ at [^)]*")
# Two builds at once would share the GPU that both measure on, and the memory of a small board.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan, what the builder says of it, and the timing cache for the next build (None: has none)."""

    plan: bytes
    built: Built
    timing: bytes | None


def ignore_progress(progress: Progress) -> None:
    """Reports nothing."""


def plan_from_onnx(
    model: ModelFile,
    key: Key,
    target: Target,
    *,
    timing: bytes = b"",
    report: Callable[[Progress], None] = ignore_progress,
    cancelled: threading.Event | None = None,
) -> NewPlan:
    """Builds a plan.

    Args:
        model: the network.
        key: of the plan, from `key.key_for`.
        target: what it is for.
        timing: a timing cache of an earlier build on this GPU.
        report: is called with the progress, from the builder's threads.
        cancelled: set it to stop the build.

    Raises:
        ModelError: the file cannot be built, or the plan would not compute in the file's precision.
        ImportError: the product is not installed.
        CancelledError: ``cancelled`` was set.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    bindings = load(target.product)
    cancelled = cancelled or threading.Event()
    with _turn(cancelled):
        reasons_of(bindings)
        start = time.monotonic()
        builder = make_builder(bindings)
        parsed = _Parsed(bindings, builder, model, with_plugins=key.options.plugins)
        network = parsed.network
        computed = layer_precisions(bindings, network)
        counts = confirm_network(weight_precisions_from_onnx(parsed.data), computed, model.precision)
        _check_input(network, key, model)
        config = _config(bindings, builder, key, target, model, network.get_input(0).name)
        if target.product.times_kernels:
            _use_timing_cache(config, timing)

        def build(monitor: object) -> HostMemory | None:
            config.progress_monitor = monitor
            return builder.build_serialized_network(network, config)

        memory = build_with_progress(bindings, build, report, cancelled)
        plan = bytes(memoryview(check(bindings, memory, f"{model.path} cannot be built")))
        _check_header(plan, key)
        inspected = target.this_gpu and _inspect(bindings, plan, computed, model)
        built = _description(network, counts, inspected, time.monotonic() - start)
        return NewPlan(plan, built, _timing_cache(config) if target.product.times_kernels else None)


@contextmanager
def _turn(cancelled: threading.Event) -> Iterator[None]:
    """Waits until no other thread builds; raises CancelledError if ``cancelled`` is set meanwhile."""
    while not _one_at_a_time.acquire(timeout=LOOK_EVERY_S):
        if cancelled.is_set():
            raise CancelledError("the build was cancelled")
    try:
        yield
    finally:
        _one_at_a_time.release()


class _Parsed:
    """A network, the bytes of its file, and the parser that owns its weights."""

    def __init__(
        self, bindings: Bindings, builder: EngineBuilder, model: ModelFile, *, with_plugins: bool
    ) -> None:
        self.data = model.path.read_bytes()
        if hashlib.sha256(self.data).hexdigest() != model.sha256:
            raise ModelError(f"{model.path} has changed since it was read; start again")
        if with_plugins:
            register_for_builds(bindings)
            # TensorRT 10.3 takes a function rather than a plugin.
            self.data = without_functions(self.data)
        self.network = builder.create_network(1 << int(bindings.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        self._parser = bindings.OnnxParser(self.network, logger_of(bindings))
        if not self._parser.parse(self.data):
            errors = [self._parser.get_error(i).desc() for i in range(self._parser.num_errors)]
            reasons_of(bindings)
            raise ModelError(f"TensorRT cannot read {model.path}: {_shortened(errors)}{_fix(model)}")


def _check_input(network: Network, key: Key, model: ModelFile) -> None:
    """The network must leave open each side that varies in or between the profiles."""
    smallest, largest = (zip(*(getattr(p, end) for p in key.profiles), strict=True) for end in ("min", "max"))
    ends = [(min(low), max(high)) for low, high in zip(smallest, largest, strict=True)]
    wanted = [low if low == high else -1 for low, high in ends]
    got = [list(network.get_input(i).shape) for i in range(network.num_inputs)]
    if len(got) != 1 or any(side not in (-1, want) for side, want in zip(got[0], wanted, strict=False)):
        raise ModelError(
            f"{model.path} must have one input, for inputs of {wanted}, where -1 varies, got "
            f"{', '.join(map(str, got))}; export it with a dynamic batch, a detector with dynamic sides too"
        )


def _config(
    bindings: Bindings, builder: EngineBuilder, key: Key, target: Target, model: ModelFile, input_name: str
) -> BuilderConfig:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(bindings.MemoryPoolType.WORKSPACE, key.options.workspace_mib << 20)
    # float32 means float32: TF32 rounds factors to ten bits. A file for fewer bits says so.
    config.clear_flag(bindings.BuilderFlag.TF32)
    # The inspector shows the types of layers only then.
    config.profiling_verbosity = bindings.ProfilingVerbosity.DETAILED
    for shapes in key.profiles:
        profile = builder.create_optimization_profile()
        profile.set_shape(input_name, shapes.min, shapes.opt, shapes.max)
        if config.add_optimization_profile(profile) < 0:
            raise ModelError(f"{model.path} does not take inputs of {shapes}: {reasons_of(bindings)}")
    if target.capability is not None:
        config.num_compute_capabilities = 1
        capability = getattr(bindings.ComputeCapability, target.capability)
        check(bindings, config.set_compute_capability(capability, 0), f"{target.capability} is not possible")
    if key.options.dla_core is not None:
        _use_dla(bindings, builder, config, key.options, model)
    return config


def _use_dla(
    bindings: Bindings, builder: EngineBuilder, config: BuilderConfig, options: Options, model: ModelFile
) -> None:
    """Layers that the accelerator cannot run stay on the GPU."""
    core, cores = options.dla_core or 0, builder.num_DLA_cores
    if not 0 <= core < cores:
        raise ModelError(f"dla_core must be one of the {cores} accelerators of this machine, got {core}")
    if model.precision == "float32":
        raise ModelError(
            f"{model.path} is float32, the accelerator computes in float16 or int8; export it so"
        )
    config.default_device_type = bindings.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(bindings.BuilderFlag.GPU_FALLBACK)


def _use_timing_cache(config: BuilderConfig, timing: bytes) -> None:
    """A cache that the library does not take is replaced by an empty one: the build is only slower."""
    for content in (timing, b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return
        _logger.warning("TensorRT does not take the timing cache; this build measures all kernels again")


def _timing_cache(config: BuilderConfig) -> bytes | None:
    cache = config.get_timing_cache()
    return bytes(memoryview(cache.serialize())) if cache is not None else None


def _check_header(plan: bytes, key: Key) -> None:
    header = header_from_plan(plan)
    if not header.agrees(key.product, key.product_version):
        raise ModelError(
            f"the plan must be of {key.product} {key.product_version}, its header says {header.describe()}"
        )


def _inspect(bindings: Bindings, plan: bytes, computed: dict[str, str], model: ModelFile) -> bool:
    """Loads the plan as its user will, and reads the precisions off it; returns whether it shows them."""
    runtime = make_runtime(bindings)
    engine = runtime.deserialize_cuda_engine(plan)
    inspector = check(bindings, engine, "the new plan cannot be loaded").create_engine_inspector()
    information = inspector.get_engine_information(bindings.LayerInformationFormat.JSON)
    return confirm_engine(information, computed, model.precision)


def _description(network: Network, precisions: dict[str, int], inspected: bool, seconds: float) -> Built:
    return Built(
        inputs=tuple(_binding(network.get_input(i)) for i in range(network.num_inputs)),
        outputs=tuple(_binding(network.get_output(i)) for i in range(network.num_outputs)),
        precisions=precisions,
        inspected=inspected,
        seconds=round(seconds, 3),
    )


def _binding(tensor: Tensor) -> Binding:
    return Binding(
        name=tensor.name,
        dtype=PRECISIONS.get(tensor.dtype.name, tensor.dtype.name.lower()),
        shape=tuple(tensor.shape),
    )


def _shortened(errors: list[str]) -> str:
    """The parser's messages without the echo of lower levels."""
    lines = [line for error in errors for line in error.splitlines() if "cudaError" not in line]
    return "; ".join(_SOURCE_LINE.sub("", line) for line in lines[:2]) or "the parser gives no reason"


def _fix(model: ModelFile) -> str:
    if model.precision != "int8":
        return ""
    return (
        ". TensorRT takes int8 only with signed weights and activations, zero points 0 and float biases. An "
        "int8 file for CPUs is not so: build the float32 file, for example tkfnet-nano-float32"
    )
