"""What the tests of several backends share."""

from typing import Any

import pytest
import skimage


@pytest.fixture
def astronaut() -> Any:
    """A photo with one face, BGR."""
    return skimage.data.astronaut()[..., ::-1].copy()
