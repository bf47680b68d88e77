"""The kernels that the networks need, as data: which operation, for which maps, of which network."""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fer_edge.cubins.manifest import Number
from fer_edge.kernels.jit.launch import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An operation as some networks use it."""

    operation: str  # name of the module with its forward_plan
    networks: tuple[str, ...]
    channels: int
    side: int  # places a side of the map
    # Arguments of forward_plan that are the operation's own.
    settings: Mapping[str, Number] = field(default_factory=dict)
    # Where a plan depends on the number of images at a time: those for which one is made.
    batches: tuple[int, ...] = ()

    def plan(self, dtype: str, channels_last: bool, images: int | None) -> Plan:
        """The launches for Triton's dtype; ``images`` is how many at a time where that matters."""
        module = importlib.import_module(f"fer_edge.kernels.jit.{self.operation}")
        hint = {"images": images} if self.batches else {}
        plan: Plan = module.forward_plan(**self.arguments(), dtype=dtype, channels_last=channels_last, **hint)
        return plan

    def arguments(self) -> dict[str, Number]:
        """The arguments of forward_plan that say which map it is, and the operation's own."""
        return {"channels": self.channels, "height": self.side, "width": self.side, **self.settings}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it was made for."""

    plan: Plan
    networks: tuple[str, ...]
    shape: Mapping[str, Number]
    dtype: str
    channels_last: bool
    images: int | None


# Up to 4 images the blocks are small, so that a robot's one face is spread over the whole GPU. (A third plan,
# for 32 and more with tensor cores, spills on 7.5; who has so many images has PyTorch.)
_BATCHES = (4, 8)
SHAPES = (
    Shape(operation="multi_branch_attention", networks=("tkfnet",), channels=512, side=7, batches=_BATCHES),
    Shape(
        operation="multi_branch_attention", networks=("tkfnet-nano",), channels=128, side=8, batches=_BATCHES
    ),
    Shape(operation="dcif", networks=("tkfnet",), channels=512, side=7, settings={"hidden": 32}),
    Shape(operation="dcif", networks=("tkfnet-nano",), channels=128, side=8, settings={"hidden": 8}),
    Shape(
        operation="token_attention",
        networks=("conv-cut",),
        channels=256,
        side=4,
        settings={"heads": 8, "epsilon": 1e-5},
    ),
)


def planned(
    shapes: Iterable[Shape], dtypes: Iterable[str], channels_last: Iterable[bool]
) -> Iterator[Planned]:
    """The plans of every shape in each of the dtypes and layouts."""
    dtypes, layouts = tuple(dtypes), tuple(channels_last)
    for shape in shapes:
        for dtype in dtypes:
            for last in layouts:
                for images in shape.batches or (None,):
                    yield Planned(
                        plan=shape.plan(dtype, last, images),
                        networks=shape.networks,
                        shape=shape.arguments(),
                        dtype=dtype,
                        channels_last=last,
                        images=images,
                    )
