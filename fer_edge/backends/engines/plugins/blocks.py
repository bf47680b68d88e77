"""What a plugin needs to know of each block: its inputs, its scratch memory, and the operation that runs it.

A node comes from export.blocks: one map, the weights of `fer_edge.kernels.reference`, and numbers as
attributes. All tensors have one type.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# As the kernels check them, in csrc/cuda/bindings.cpp.
CHANNEL_MULTIPLE, MAX_CHANNELS, MAX_SIDE, MAX_TOKENS = 8, 2048, 14, 64
Shape = Sequence[int]  # N, C, H, W
Numbers = Mapping[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A custom node.

    Attributes:
        name: of the node.
        operation: of `fer_edge._cuda`.
        inputs: how many tensors it reads.
        attributes: name -> type of a number.
        numbers: further arguments of the operation, from the shapes of the inputs and the attributes.
        scratch: bytes of each part of the scratch memory, for a map and the bytes of one value.
        parts: a map has this many times the channels of the result.
        pools: the result is [N, C], not a map.
        max_positions: of a map.
    """

    name: str
    operation: str
    inputs: int
    attributes: Mapping[str, type[np.generic]]
    numbers: Callable[[Sequence[Shape], Numbers], tuple[int | float, ...]]
    scratch: Callable[[Shape, int], tuple[int, ...]]
    parts: int = 1
    pools: bool = False
    max_positions: int = MAX_SIDE * MAX_SIDE

    def takes(self, shape: Shape) -> bool:
        """Whether the kernels take maps of this shape, for any number of them."""
        if len(shape) != 4:
            return False
        channels, height, width = shape[1:]
        return (
            channels % (CHANNEL_MULTIPLE * self.parts) == 0
            and 0 < channels <= self.parts * MAX_CHANNELS
            and 0 < height <= MAX_SIDE
            and 0 < width <= MAX_SIDE
            and height * width <= self.max_positions
        )


def _multi_branch_scratch(shape: Shape, size: int) -> tuple[int, ...]:
    images, both, height, width = shape
    # Two of each, as fer_edge.kernels.cuda_ops allocates them: float32 [2, N, C] and [2, N * H * W, 2 C].
    return 4 * images * both, size * 2 * images * height * width * both


def _attention_scratch(shape: Shape, size: int) -> tuple[int, ...]:
    # Queries, keys and values; and their mixture.
    return size * 3 * math.prod(shape), size * math.prod(shape)


BLOCKS = (
    Block(
        name="MultiBranchAttention",
        operation="multi_branch_attention",
        inputs=11,
        attributes={"channels": np.int32},
        numbers=lambda shapes, attributes: (),
        scratch=_multi_branch_scratch,
        parts=2,
    ),
    Block(
        name="DCIF",
        operation="dcif",
        inputs=6,
        attributes={},
        # The hidden channels of the gate: the rows of its first matrix.
        numbers=lambda shapes, attributes: (shapes[1][0],),
        scratch=lambda shape, size: (),
        pools=True,
    ),
    Block(
        name="TokenAttention",
        operation="token_attention",
        inputs=7,
        attributes={"heads": np.int32, "epsilon": np.float32},
        numbers=lambda shapes, attributes: (attributes["heads"], attributes["epsilon"]),
        scratch=_attention_scratch,
        max_positions=MAX_TOKENS,
    ),
)
