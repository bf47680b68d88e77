"""Triton's `dcif` and `filter_and_pool`, forward and backward, compiled for sm_90: nothing spills."""

import os
import subprocess
import sys
from pathlib import Path

COMPILE = """
import sys
from export.kernel_binary import Source, compiled, prepare_process
from fer_edge.kernels.jit.dcif import forward_plan
from fer_edge.kernels.jit.dcif_backward import backward_plan

prepare_process(sys.argv[1])
for channels, side, dtype, last in (
    (512, 7, "fp16", False),
    (128, 8, "bf16", True),
    (2048, 14, "fp16", False),
):
    shape = (channels, side, side, dtype, last)
    plans = (
        forward_plan(*shape, hidden=channels // 16),
        forward_plan(*shape, gate_given=True),
        backward_plan(*shape),
    )
    for plan, launch in ((plan, launch) for plan in plans for launch in plan.launches):
        made = compiled(
            Source(
                operation=plan.operation,
                module=launch.kernel.__module__,
                name=launch.kernel.__name__,
                digest="",
                pointers=tuple((name, plan.buffers[name].dtype) for name in launch.pointers),
                constants=tuple(launch.constants.items()),
                num_warps=launch.num_warps,
                num_stages=launch.num_stages,
            ),
            90,
        )
        print(launch.kernel.__name__, channels, dtype, made.spill_bytes, made.stack_bytes, made.shared_bytes)
"""


def test_kernels_compile_and_do_not_spill(tmp_path):
    # In a process of its own, without TRITON_INTERPRET, which conftest.py sets.
    clean = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        (sys.executable, "-c", COMPILE, str(tmp_path)),
        env=clean,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == {"dcif", "filter_and_pool", "filter_and_pool_backward"}
    assert len(lines) == 3 * 3
    for name, channels, dtype, spilled, stack, shared in lines:
        assert spilled == stack == "0", (name, channels, dtype)
        assert int(shared) <= 48 * 1024, (name, channels, dtype)
