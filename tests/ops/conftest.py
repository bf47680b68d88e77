"""The targets that the tests of the operations run on."""

import pytest

from fer_edge import ops
from tests.ops.exact_targets import COMPILED, EXACT

NOT_BUILT = pytest.mark.skip(reason="the extension is not built, so there is no compiled target")


@pytest.fixture(params=ops.targets())
def operations(request: pytest.FixtureRequest) -> ops.Operations:
    """Every target of this machine, the reference and OpenCV included."""
    return ops.operations(request.param)


@pytest.fixture(params=EXACT)
def exact(request: pytest.FixtureRequest) -> ops.Operations:
    """Every target that is bitwise equal to the reference, which is included."""
    return ops.operations(request.param)


@pytest.fixture(params=COMPILED or [pytest.param("none", marks=NOT_BUILT)])
def compiled(request: pytest.FixtureRequest) -> ops.Operations:
    """Every compiled target of this machine."""
    return ops.operations(request.param)
