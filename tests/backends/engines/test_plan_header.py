"""Product and version, from the first bytes of a plan."""

import pytest
from made_plans import RTX_HEADER, tensorrt_header

from fer_edge.backends.engines.plan_header import PlanHeader, header_from_plan
from fer_edge.models import ModelError


def test_a_plan_of_tensorrt_for_rtx() -> None:
    header = header_from_plan(RTX_HEADER)
    assert header == PlanHeader("tensorrt-rtx", (1, 7, 1, 116))
    assert header.describe() == "tensorrt-rtx 1.7.1.116"


def test_a_plan_of_tensorrt() -> None:
    assert header_from_plan(tensorrt_header(10, 3, 0, 26)) == PlanHeader("tensorrt", (10, 3, 0, 26))


@pytest.mark.parametrize(
    ("product", "version", "agrees"),
    [
        ("tensorrt", "10.3.0", True),
        ("tensorrt", "10.3.0.26", True),
        # The fourth number is not compared: JetPack's bindings do not say it.
        ("tensorrt", "10.3.0.30", True),
        ("tensorrt", "10.3.1", False),
        ("tensorrt", "10.13.0", False),
        ("tensorrt-rtx", "10.3.0", False),
    ],
)
def test_agreement_with_a_product(product: str, version: str, agrees: bool) -> None:
    assert header_from_plan(tensorrt_header(10, 3, 0, 26)).agrees(product, version) is agrees


@pytest.mark.parametrize("data", [b"", RTX_HEADER[:27], b"\x7fELF" + bytes(60), RTX_HEADER[::-1]])
def test_other_bytes_are_no_plan(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"expected a plan of tensorrt or tensorrt-rtx, got (\w\w|no bytes)"):
        header_from_plan(data)
