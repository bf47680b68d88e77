"""Builds the records of the manifest from launch plans and compiled kernels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import triton

import fer_edge
from export.ahead_of_time.kernel_binary import Source
from export.ahead_of_time.kernel_shapes import Planned
from fer_edge.aot import manifest as records
from fer_edge.aot.manifest import (
    HIDDEN,
    Binary,
    Hidden,
    Kernel,
    Launch,
    Manifest,
    Operation,
    Pointer,
)

Task = tuple[Source, int]  # kernel, compute capability


def sources_from_plan(entry: Planned) -> Iterator[Source]:
    """The kernels of a plan, in the order of its launches."""
    for launch in entry.plan.launches:
        yield Source(
            operation=entry.plan.operation,
            module=launch.kernel.__module__,
            name=launch.kernel.__name__,
            digest=launch.kernel.cache_key,
            pointers=tuple((name, entry.plan.buffers[name].dtype) for name in launch.pointers),
            constants=tuple(launch.constants.items()),
            num_warps=launch.num_warps,
            num_stages=launch.num_stages,
            max_registers=launch.max_registers,
        )


def manifest_from_plans(
    entries: Iterable[Planned],
    tasks: Mapping[str, Task],
    done: Mapping[str, Binary],
    architectures: Sequence[int],
) -> Manifest:
    """The manifest of these plans; the keys of `tasks` and `done` are those of `Source.key`."""
    binaries: dict[str, dict[str, Binary]] = {}
    for key, (source, architecture) in tasks.items():
        binaries.setdefault(source.id, {})[str(architecture)] = done[key]
    sources = {source.id: source for source, _ in tasks.values()}
    return Manifest(
        format=records.FORMAT,
        fer_edge=fer_edge.__version__,
        triton=triton.__version__,
        architectures=tuple(architectures),
        operations=tuple(_operation(entry) for entry in entries),
        kernels={
            name: Kernel(
                symbol=source.name,
                pointers=tuple(Pointer(name=pointer, dtype=dtype) for pointer, dtype in source.pointers),
                hidden=tuple(Hidden(name=hidden, size=0) for hidden in HIDDEN),
                constants=dict(source.constants),
                num_warps=source.num_warps,
                num_stages=source.num_stages,
                binaries=binaries[name],
            )
            for name, source in sources.items()
        },
    )


def _operation(entry: Planned) -> Operation:
    plan = entry.plan
    return Operation(
        operation=plan.operation,
        networks=entry.networks,
        shape=dict(entry.shape),
        dtype=entry.dtype,
        channels_last=entry.channels_last,
        images=entry.images,
        buffers=dict(plan.buffers),
        launches=tuple(
            Launch(kernel=source.id, pointers=launch.pointers, grid=launch.grid)
            for source, launch in zip(sources_from_plan(entry), plan.launches, strict=True)
        ),
    )
