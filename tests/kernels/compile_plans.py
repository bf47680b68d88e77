"""Compiles kernels for sm_90 and prints their resources, in a process without Triton's interpreter.

    python tests/kernels/compile_plans.py CACHE

tests/export compiles the networks' forward passes for every GPU. This program compiles the backward passes,
the forward passes that save arrays for them, and the code for wide maps.
"""

import sys
from collections.abc import Iterator

from export.ahead_of_time.kernel_binary import compile_kernel, prepare_process
from export.ahead_of_time.kernel_manifest import sources_from_plan
from export.ahead_of_time.kernel_shapes import Planned
from fer_edge.kernels.jit import dcif, dcif_backward, token_attention
from fer_edge.kernels.jit import multi_branch_attention as multi_branch
from fer_edge.kernels.jit import multi_branch_attention_backward as multi_branch_backward
from fer_edge.kernels.jit import token_attention_backward as token_backward
from fer_edge.kernels.jit.launch import Plan

SM = 90


def plans() -> Iterator[tuple[int, str, Plan]]:
    """Channels, dtype and plan."""
    for channels, side, dtype in ((512, 7, "fp16"), (128, 8, "fp32")):
        shape = (channels, side, side, dtype, False)
        yield channels, dtype, multi_branch.forward_plan(*shape, images=64, save=True, tensor_cores=True)
        yield channels, dtype, multi_branch_backward.joined_plan(*shape)
        yield channels, dtype, multi_branch_backward.maps_plan(*shape)
    for channels, side, dtype, last in (
        (512, 7, "fp16", False),
        (128, 8, "bf16", True),
        (2048, 14, "fp16", False),
        # The convolution does not fit into the registers together with the whole map.
        (256, 10, "fp16", False),
    ):
        shape = (channels, side, side, dtype, last)
        yield channels, dtype, dcif.forward_plan(*shape, hidden=channels // 16)
        yield channels, dtype, dcif.forward_plan(*shape, gate_given=True)
        yield channels, dtype, dcif_backward.backward_plan(*shape)
    for channels, heads, dtype in ((256, 8, "fp16"), (256, 8, "fp32"), (128, 4, "bf16"), (2048, 8, "fp32")):
        yield channels, dtype, token_attention.forward_plan(channels, 4, 4, heads, 1e-5, dtype, False)
        yield channels, dtype, token_backward.normalize_backward_plan(channels, 4, 4, 1e-5, dtype, False)
        yield channels, dtype, token_backward.attend_backward_plan(channels, 16, heads, dtype)
        yield channels, dtype, token_backward.mix_plan(channels, 16, heads, dtype)


def main() -> None:
    """One line per kernel: name, channels, dtype, bytes of spills, of stack, of shared memory."""
    prepare_process(sys.argv[1])
    for channels, dtype, plan in plans():
        planned = Planned(plan=plan, networks=(), shape={}, dtype=dtype, channels_last=False, images=None)
        for source in sources_from_plan(planned):
            made = compile_kernel(source, SM)
            needs = (made.spill_bytes, made.stack_bytes, made.shared_bytes)
            sys.stdout.write(f"{source.name} {channels} {dtype} {' '.join(map(str, needs))}\n")


if __name__ == "__main__":
    main()
