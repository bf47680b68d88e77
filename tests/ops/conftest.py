"""Every target of this machine, beside the reference."""

import pytest

from fer_edge import ops


@pytest.fixture(params=ops.targets())
def target(request: pytest.FixtureRequest) -> ops.Operations:
    """The operations of one target; "reference" alone where the extension was not built."""
    return ops.operations(request.param)
