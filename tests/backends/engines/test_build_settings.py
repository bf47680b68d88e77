"""Settings of TensorRT's builder that need a Jetson: the timing cache and the accelerator.

The builder and its config are doubles: they only record what they are told.
"""

import threading
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fer_edge import models
from fer_edge.backends.engines import build
from fer_edge.backends.engines.key import Options
from fer_edge.models import ModelError, ModelFile

BINDINGS: Any = SimpleNamespace(
    DeviceType=SimpleNamespace(DLA="dla"), BuilderFlag=SimpleNamespace(GPU_FALLBACK="fallback")
)


class Config:
    """A builder's config that takes the timing caches in `taken`."""

    def __init__(self, taken: tuple[bytes, ...] = ()) -> None:
        self.taken = taken
        self.cache: bytes | None = None
        self.flags: list[str] = []

    def create_timing_cache(self, content: bytes) -> Any:
        return None if content == b"garbage" else content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if cache in self.taken:
            self.cache = cache
        return cache in self.taken

    def get_timing_cache(self) -> Any:
        return self.cache and SimpleNamespace(serialize=lambda: self.cache)

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)


@pytest.mark.parametrize(
    ("known", "used", "warned"),
    [
        (b"", b"", False),
        (b"times", b"times", False),
        # Of another GPU, which TensorRT sees; damaged, so that it returns nothing.
        (b"other", b"", True),
        (b"garbage", b"", True),
    ],
)
def test_a_timing_cache_that_is_not_taken_is_replaced_by_an_empty_one(
    known: bytes, used: bytes, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config: Any = Config(taken=(b"", b"times"))
    build._use_timing_cache(config, known)
    assert config.cache == used
    assert ("does not take the timing cache" in caplog.text) is warned


def test_the_timing_cache_after_the_build() -> None:
    config: Any = Config(taken=(b"times",))
    assert build._timing_cache(config) is None
    build._use_timing_cache(config, b"times")
    assert build._timing_cache(config) == b"times"


@pytest.fixture
def half(expression_file: Path) -> ModelFile:
    """A float16 model."""
    return replace(models.read(expression_file), precision="float16")


def test_an_accelerator_with_the_gpu_for_what_it_cannot_run(half: ModelFile) -> None:
    config: Any = Config()
    build._use_dla(BINDINGS, SimpleNamespace(num_DLA_cores=2), config, Options(dla_core=1), half)  # type: ignore[arg-type]
    assert (config.default_device_type, config.DLA_core, config.flags) == ("dla", 1, ["fallback"])


@pytest.mark.parametrize(("cores", "core"), [(0, 0), (2, 2), (2, -1)])
def test_an_accelerator_that_is_not_there(half: ModelFile, cores: int, core: int) -> None:
    with pytest.raises(ModelError, match=f"one of the {cores} accelerators of this machine, got {core}"):
        build._use_dla(BINDINGS, SimpleNamespace(num_DLA_cores=cores), Config(), Options(dla_core=core), half)  # type: ignore[arg-type]


def test_the_accelerator_does_not_compute_in_float32(half: ModelFile) -> None:
    model = replace(half, precision="float32")
    with pytest.raises(ModelError, match="is float32, the accelerator computes in float16 or int8"):
        build._use_dla(BINDINGS, SimpleNamespace(num_DLA_cores=2), Config(), Options(dla_core=0), model)  # type: ignore[arg-type]


def test_a_cancelled_build_does_not_wait_for_another_of_this_process() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with build._turn(threading.Event()), pytest.raises(CancelledError), build._turn(cancelled):
        pass
    # The turn was given back.
    with build._turn(cancelled):
        pass
