"""Product and version of a plan, from its first bytes, without NVIDIA's libraries.

NVIDIA does not document the layout; it was read off plans. So it is a first check, and a hint for people:
what a plan is used for is decided by its sidecar.
"""

import struct
from dataclasses import dataclass

from fer_edge.backends.engines.products import PRODUCTS, version_numbers
from fer_edge.models import ModelError

_LAYOUT = struct.Struct("<I20x4B")


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """Name and version of the product that wrote a plan."""

    product: str
    version: tuple[int, ...]

    def agrees(self, product: str, version: str) -> bool:
        """Whether a plan of this product and version can have this header.

        Three numbers are compared: JetPack's bindings do not say the fourth.
        """
        return self.product == product and self.version[:3] == version_numbers(version)[:3]

    def describe(self) -> str:
        """Product and version as text."""
        return f"{self.product} {'.'.join(map(str, self.version))}"


def header_from_plan(plan: bytes) -> PlanHeader:
    """Reads the header; raises ModelError if the bytes are no plan of a product that is known."""
    if len(plan) >= _LAYOUT.size:
        tag, *version = _LAYOUT.unpack_from(plan)
        for product in PRODUCTS.values():
            if product.plan_tag == tag:
                return PlanHeader(product.name, tuple(version))
    raise ModelError(f"expected a plan of {' or '.join(PRODUCTS)}, got {plan[:8].hex(' ') or 'no bytes'}")
