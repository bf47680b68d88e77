"""Times the kernels and PyTorch on a GPU: each operation and whole networks, float16, batch 1, 8 and 64.

    python -m benchmarks.kernels --json benchmarks/results/kernels.json

The same weights run in four ways: eager; torch.compile (max-autotune), the better of its own CUDA graph and
one recorded here; eager in a CUDA graph; the kernels of fer_edge in a CUDA graph. Times are medians of CUDA
events. In replays the weights are in the L2 cache if they fit, as in an application that processes frame
after frame. The roofline is that of main memory, so a share above 1 means that they were. With `--dry-run`
and TRITON_INTERPRET=1 the same code runs on the CPU and measures nothing.
"""

import argparse
import gc
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.kernel.cases import CASES, Case, folded
from benchmarks.kernel.costs import costs
from benchmarks.kernel.timing import CudaTimer, DryTimer, Timer, Timing, Work
from fer_edge import kernels
from fer_edge.benchmark.measure.context import context
from training.models import build, use_kernels

NETWORKS: dict[str, dict[str, Any]] = {"tkfnet": {"depth": 18, "size": 224}, "conv-cut": {"variant": "base"}}
DRY_NETWORKS: dict[str, dict[str, Any]] = {
    "tkfnet": {"depth": 18, "size": 56, "width": 16},
    "conv-cut": {"variant": "atto", "size": 56, "tokens_width": 64},
}


def compiled(work: nn.Module | Any, timer: Timer, mode: str) -> Any:
    """torch.compile; on a CPU its graphs run eagerly, so that a dry run does not wait for a compiler."""
    torch._dynamo.reset()
    if timer.device.type == "cpu":
        return torch.compile(work, backend="aot_eager", fullgraph=True)
    return torch.compile(work, mode=mode, fullgraph=True)


def compile_best(work: Any, arguments: tuple[Any, ...], timer: Timer) -> Timing:
    """The faster of the compiler's own CUDA graph and one recorded around its kernels."""
    own = compiled(work, timer, "max-autotune")
    with_own_graph = timer.eager(lambda: own(*arguments))
    bare = compiled(work, timer, "max-autotune-no-cudagraphs")
    return min(with_own_graph, timer.graph(lambda: bare(*arguments)), key=lambda timing: timing.median_us)


def operation_times(case: Case, images: int, timer: Timer, compiler: bool) -> dict[str, Timing]:
    """The times of one operation in all ways, including the extension if it was built."""
    plain = case.arguments(images, torch.float16, timer.device, channels_last=True)
    ours = folded(plain)

    def reference(*arguments: Any) -> torch.Tensor:
        return case.run(arguments, "reference")

    implementations: dict[str, Work] = {"triton": lambda: case.run(ours, "triton")}
    if timer.device.type == "cuda" and kernels.dispatch.installed("cuda"):
        implementations["cuda"] = lambda: case.run(ours, "cuda")
    return {
        "eager": timer.eager(lambda: reference(*plain)),
        "eager_graph": timer.graph(lambda: reference(*plain)),
        **({"compile_best": compile_best(reference, plain, timer)} if compiler else {}),
        "triton_eager": timer.eager(implementations["triton"]),
        **{f"{name}_graph": timer.graph(work) for name, work in implementations.items()},
    }


def network_times(name: str, images: int, timer: Timer, dry: bool, compiler: bool) -> dict[str, Timing]:
    """The times of a whole network in all ways."""
    torch.manual_seed(0)
    model = build(name, **(DRY_NETWORKS if dry else NETWORKS)[name]).eval()
    model = model.to(timer.device, torch.float16, memory_format=torch.channels_last)
    x = torch.randn(images, 1, model.size, model.size).to(timer.device, torch.float16)
    times = {"eager": timer.eager(lambda: model(x)), "eager_graph": timer.graph(lambda: model(x))}
    if compiler:
        times["compile_best"] = compile_best(model, (x,), timer)
    use_kernels(model, "triton")
    return times | {
        "triton_eager": timer.eager(lambda: model(x)),
        "triton_graph": timer.graph(lambda: model(x)),
    }


def warp_times(timer: Timer, faces: int = 16) -> dict[str, Timing]:
    """`warp_normalize` of faces of 100 to 400 px from 1920 x 1080 into float16 [faces, 1, 112, 112]."""
    height, width, side = (1080, 1920, 112) if timer.device.type == "cuda" else (54, 96, 8)
    plane = torch.randint(0, 256, (height, width), dtype=torch.uint8, device=timer.device)
    steps = torch.linspace(0.9, 3.6, faces)  # frame px per crop px
    matrices = torch.zeros(faces, 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = steps
    matrices[:, 0, 2] = torch.linspace(0, width / 2, faces)
    matrices[:, 1, 2] = torch.linspace(0, height / 2, faces)
    matrices_on_device = matrices.to(timer.device)
    out = torch.empty(faces, 1, side, side, dtype=torch.float16, device=timer.device)

    def work(implementation: kernels.dispatch.Kernels) -> Work:
        return lambda: kernels.warp_normalize(
            plane, matrices_on_device, out, mean=127.5, scale=1 / 64, kernels=implementation
        )

    built = timer.device.type == "cuda" and kernels.dispatch.installed("cuda")
    names: tuple[kernels.dispatch.Kernels, ...] = ("triton", "cuda") if built else ("triton",)
    return {f"{name}_graph": timer.graph(work(name)) for name in names}


def measured(times: dict[str, Timing], extra: dict[str, Any]) -> dict[str, Any]:
    """One row of the results; speed_up is the time of the fastest other way, divided by the kernels', in a
    CUDA graph.
    """
    ours = {name: times[name].median_us for name in ("triton_graph", "cuda_graph") if name in times}
    others = [times[name].median_us for name in ("eager_graph", "compile_best") if name in times]
    return {
        **extra,
        "speed_up": {name: min(others) / median for name, median in ours.items()},
        "times": {name: asdict(timing) for name, timing in times.items()},
    }


def rows(
    timer: Timer, peaks: dict[str, Any], batches: list[int], chosen: list[str], dry: bool, compiler: bool
) -> Iterable[dict[str, Any]]:
    """Measures one case after another."""
    for case in CASES:
        for images in batches if case.operation in chosen else ():
            row = measured(
                operation_times(case, images, timer, compiler), {"case": case.name, "images": images}
            )
            if peaks["gpu"]:
                cost = costs(case, images)
                least = max(
                    cost["bytes"]["least"] / peaks["bandwidth_gb_s"] / 1e9,
                    cost["flops"] / peaks["float16_tflop_s"] / 1e12,
                )
                row["roofline_share"] = 1e6 * least / row["times"]["triton_graph"]["median_us"]
            yield row
    for name in NETWORKS:
        for images in batches if name in chosen else ():
            yield measured(
                network_times(name, images, timer, dry, compiler), {"case": name, "images": images}
            )
            gc.collect()
    if "warp_normalize" in chosen:
        times = {name: asdict(timing) for name, timing in warp_times(timer).items()}
        yield {"case": "warp_normalize 16 faces from 1080p", "images": 16, "times": times}


def main() -> int:
    """Measures, prints one line per row, writes JSON; returns 1 if there is no GPU."""
    known = [*dict.fromkeys(case.operation for case in CASES), *NETWORKS, "warp_normalize"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--only", nargs="+", choices=known, default=known)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out, whose search takes minutes"
    )
    parser.add_argument("--dry-run", action="store_true")
    arguments = parser.parse_args()
    if arguments.dry_run and not kernels.dispatch.interpreted():
        # Triton reads the variable at import, so it cannot be set here.
        parser.error("--dry-run needs TRITON_INTERPRET=1 in the environment")
    try:
        timer: Timer = DryTimer() if arguments.dry_run else CudaTimer()
    except RuntimeError as error:
        print(f"benchmarks.kernels: {error}")
        return 1
    found = []
    with torch.inference_mode():
        facts = timer.facts()
        compiler = not arguments.no_compile
        for row in rows(timer, facts, arguments.batch, arguments.only, arguments.dry_run, compiler):
            found.append(row)
            medians = ", ".join(f"{name} {t['median_us']:.2f}" for name, t in row["times"].items())
            print(f"{row['case']}, batch {row['images']}: {medians} us", flush=True)
            if arguments.json:  # after each row, so that an interrupted run keeps its results
                result = {"context": context() | facts, "rows": found}
                arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
