"""Computes the cost of each operation: launches, FLOPs, bytes, and a lower bound of the time on a GPU.

Nothing is run: shapes are traced on PyTorch's meta device, and launches are read from the Triton plans.

    python -m benchmarks.kernel.costs [--batch 1]

"eager" counts every PyTorch operation that computes something as one launch that reads its operands from
memory and writes its result to memory. A library needs at least one kernel for each.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.kernel.cases import CASES, Case
from export.ahead_of_time.kernel_shapes import SHAPES
from fer_edge.kernels import reference
from fer_edge.kernels.jit.launch import Plan


@dataclass(frozen=True, slots=True)
class Gpu:
    """Peak rates from the vendor's data sheets (dense float16) and the cost of a launch in a CUDA graph."""

    bandwidth: float  # bytes per second
    arithmetic: float  # floating-point operations per second
    launch: float  # seconds; an assumption, not from a data sheet


GPUS = {
    "H200": Gpu(4.8e12, 989e12, 1.5e-6),
    "H100 SXM": Gpu(3.35e12, 989e12, 1.5e-6),
    "Orin AGX 64": Gpu(204.8e9, 42.5e12, 3e-6),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One launch: floating-point operations (a multiply-add is two) and bytes read and written."""

    name: str
    flops: int
    bytes: int

    def seconds(self, gpu: Gpu) -> float:
        """The roofline: the longer of memory time and arithmetic time (Williams et al., 2009)."""
        return max(self.bytes / gpu.bandwidth, self.flops / gpu.arithmetic)


class Trace(TorchDispatchMode):
    """Collects the operations that compute something; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Part] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and records it."""
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        read, written = list(_tensors(args)), list(_tensors([result]))
        known = {t.untyped_storage()._cdata for t in read}
        if any(t.untyped_storage()._cdata not in known for t in written):
            flops = flop_registry.get(function.overloadpacket)
            count = flops(*args, **kwargs, out_val=result) if flops else sum(t.numel() for t in written)
            moved = sum(t.numel() * t.element_size() for t in [*read, *written])
            self.parts.append(Part(function.overloadpacket.__name__, int(count), moved))
        return result


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def eager_parts(operation: Callable[[], Tensor]) -> list[Part]:
    """The launches of plain PyTorch, traced on tensors of the meta device."""
    with Trace() as trace:
        operation()
    return trace.parts


def planned_bytes(plan: Plan, images: int) -> int:
    """Bytes that the launches of a plan read and write if each accesses its buffers once."""
    used = (plan.buffers[name] for launch in plan.launches for name in launch.pointers)
    return sum(buffer.size(images) for buffer in used)


def min_bytes(plan: Plan, images: int) -> int:
    """Minimum bytes of any implementation: inputs, weights and outputs, each once."""
    return sum(buffer.size(images) for buffer in plan.buffers.values() if buffer.role != "scratch")


def plan_of(case: Case, images: int) -> Plan:
    """The Triton launches of a case for float16, contiguous."""
    return SHAPES[CASES.index(case)].plan("fp16", channels_last=False, images=images)


def costs(case: Case, images: int) -> dict[str, Any]:
    """Eager parts, launches and bytes before and after fusion, and lower bounds of the time on each GPU."""
    arguments = case.arguments(images, torch.float16, "meta")
    parts = eager_parts(lambda: getattr(reference, case.operation)(*arguments))
    plan = plan_of(case, images)
    flops, moved = sum(part.flops for part in parts), planned_bytes(plan, images)
    least = {}
    for name, gpu in GPUS.items():
        least[name] = {
            "eager_us": 1e6 * sum(part.seconds(gpu) + gpu.launch for part in parts),
            "fused_us": 1e6
            * (max(moved / gpu.bandwidth, flops / gpu.arithmetic) + len(plan.launches) * gpu.launch),
            "roofline_us": 1e6 * max(min_bytes(plan, images) / gpu.bandwidth, flops / gpu.arithmetic),
        }
    return {
        "case": case.name,
        "network": case.network,
        "images": images,
        "flops": flops,
        "parts": [asdict(part) for part in parts],
        "launches": {"eager": len(parts), "fused": len(plan.launches)},
        "bytes": {
            "eager": sum(part.bytes for part in parts),
            "fused": moved,
            "least": min_bytes(plan, images),
        },
        "least": least,
    }


def show(cost: dict[str, Any]) -> None:
    """Prints a table of the parts and a line with the totals."""
    print(f"\n{cost['case']} ({cost['network']}), batch {cost['images']}")
    print("| launch | MFLOP | KiB |\n| --- | --- | --- |")
    for part in cost["parts"]:
        print(f"| {part['name']} | {part['flops'] / 1e6:.3f} | {part['bytes'] / 1024:.1f} |")
    launches, moved = cost["launches"], cost["bytes"]
    print(
        f"launches {launches['eager']} -> {launches['fused']}, "
        f"KiB {moved['eager'] / 1024:.0f} -> {moved['fused'] / 1024:.0f}"
    )
    for name, times in cost["least"].items():
        print(f"{name}: at least " + ", ".join(f"{key[:-3]} {value:.2f} us" for key, value in times.items()))


def main() -> None:
    """Prints the costs of every operation at the networks' shapes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    arguments = parser.parse_args()
    for case in CASES:
        for images in arguments.batch:
            show(costs(case, images))


if __name__ == "__main__":
    main()
