"""The kernels to compile ahead of time: operation, map size and network."""

import importlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from fer_edge.aot.manifest import Number
from fer_edge.kernels.checks import check_map, check_tokens
from fer_edge.kernels.jit.launch import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An operation with the map size of some networks, or of a user's network."""

    operation: str  # name of the module that has its forward_plan
    networks: tuple[str, ...]
    channels: int
    height: int  # of the map
    width: int
    # Further arguments of forward_plan.
    settings: Mapping[str, Number] = field(default_factory=dict)
    # If the plan depends on the number of images: the numbers that get a plan.
    batches: tuple[int, ...] = ()

    def plan(self, dtype: str, channels_last: bool, images: int | None) -> Plan:
        """The launches for Triton's dtype, tuned for ``images`` if the plan depends on their number."""
        module = importlib.import_module(f"fer_edge.kernels.jit.{self.operation}")
        hint = {"images": images} if self.batches else {}
        plan: Plan = module.forward_plan(**self.arguments(), dtype=dtype, channels_last=channels_last, **hint)
        return plan

    def arguments(self) -> dict[str, Number]:
        """The arguments of forward_plan: map size and settings."""
        return {"channels": self.channels, "height": self.height, "width": self.width, **self.settings}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the arguments that it was made for."""

    plan: Plan
    networks: tuple[str, ...]
    shape: Mapping[str, Number]
    dtype: str
    channels_last: bool
    images: int | None


# Up to 4 images the blocks are small, so that one face uses the whole GPU. (The third plan, for 32 and more
# images with tensor cores, spills on 7.5 and is omitted: batches of this size run on machines with PyTorch.)
_BATCHES = (4, 8)
# Settings of an operation besides the map size.
_SETTINGS: dict[str, dict[str, type[int] | type[float]]] = {
    "multi_branch_attention": {},
    "dcif": {"hidden": int},
    "token_attention": {"heads": int, "epsilon": float},
}
_DEFAULTS: dict[str, dict[str, Number]] = {"token_attention": {"epsilon": 1e-5}}
FORM = "OPERATION:CxHxW[:NAME=NUMBER...]"


def shape_from_text(text: str) -> Shape:
    """Parses a shape from the command line.

    Args:
        text: operation, channels x height x width of its map (C, not 2 C), and its settings:
            ``multi_branch_attention:384x6x6``, ``dcif:384x6x6:hidden=24`` or
            ``token_attention:384x6x6:heads=12:epsilon=1e-6`` (the default of epsilon is 1e-5).

    Raises:
        ValueError: the operation does not exist or does not support this shape.
    """
    operation, _, rest = text.partition(":")
    size, *settings = rest.split(":")
    if operation not in _SETTINGS or not re.fullmatch(r"\d{1,4}x\d{1,4}x\d{1,4}", size):
        raise ValueError(
            f"a shape must be {FORM} with one of {', '.join(_SETTINGS)} as its OPERATION, got {text}"
        )
    channels, height, width = map(int, size.split("x"))
    shape = Shape(
        operation=operation,
        networks=(),
        channels=channels,
        height=height,
        width=width,
        settings=_settings(operation, settings),
        batches=_BATCHES if operation == "multi_branch_attention" else (),
    )
    # The checks of the operation itself.
    x = torch.empty(1, channels, height, width, device="meta")
    check_map(text, x, 1)
    if operation == "token_attention":
        check_tokens(text, x, int(shape.settings["heads"]))
    return shape


def _settings(operation: str, texts: Iterable[str]) -> dict[str, Number]:
    """The settings of an operation from texts such as "heads=12"."""
    kinds = _SETTINGS[operation]
    given = dict(_DEFAULTS.get(operation, {}))
    for text in texts:
        name, _, number = text.partition("=")
        if name not in kinds:
            raise ValueError(f"{operation} knows {', '.join(kinds) or 'no settings'}, got {text}")
        try:
            given[name] = kinds[name](number)
        except ValueError:
            raise ValueError(f"{operation} needs a number for {name}, got {number!r}") from None
        if not 0 < given[name] < math.inf:
            raise ValueError(f"{operation} needs {name} above zero, got {number}")
    if missing := [name for name in kinds if name not in given]:
        raise ValueError(f"{operation} needs {missing[0]}, say {missing[0]}=NUMBER after its map")
    # In a fixed order, because a kernel is found by its shape.
    return {name: given[name] for name in kinds}


SHAPES = tuple(
    replace(shape_from_text(text), networks=(network,))
    for text, network in (
        ("multi_branch_attention:512x7x7", "tkfnet"),
        ("multi_branch_attention:128x8x8", "tkfnet-nano"),
        ("dcif:512x7x7:hidden=32", "tkfnet"),
        ("dcif:128x8x8:hidden=8", "tkfnet-nano"),
        ("token_attention:256x4x4:heads=8", "conv-cut"),
    )
)


def plans_from_shapes(
    shapes: Iterable[Shape], dtypes: Iterable[str], channels_last: Iterable[bool]
) -> Iterator[Planned]:
    """The plans of every shape for each dtype and layout."""
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
