"""A test double of pycuda.driver, for machines without CUDA: it records calls and has no memory or GPU.

It has the names, signatures and errors that `fer_edge.aot` uses, as in pycuda 2026.1, and rejects what
CUDA rejects: work without a current context, arguments that do not fit the format, unbalanced pops. It
deliberately has no make_context and no autoinit.
"""

import ctypes
import struct
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class PycudaDriver(ModuleType):
    """Stands in for the module; `calls` are the names and arguments of all calls in order."""

    function_attribute = SimpleNamespace(MAX_DYNAMIC_SHARED_SIZE_BYTES="MAX_DYNAMIC_SHARED_SIZE_BYTES")

    class Error(Exception):
        """pycuda._driver.Error."""

    class Stream:
        """pycuda.driver.Stream."""

        handle = 0x5555

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__("pycuda.driver")
        self.capability = capability
        self.calls: list[tuple[Any, ...]] = []
        self.stack: list[str] = []  # CUDA's contexts, the current one last
        self.fails: dict[str, str] = {}  # call -> text of CUDA's error
        self.refused: tuple[bytes, ...] = ()  # first bytes of modules that are rejected
        self.Context = SimpleNamespace(get_current=lambda: None)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replaces pycuda.driver in sys.modules, and CUDA's library in ctypes."""
        monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
        monkeypatch.setitem(sys.modules, "pycuda.driver", self)
        monkeypatch.setattr(ctypes, "CDLL", self._library)

    def names(self) -> list[str]:
        """The names of the calls so far."""
        return [name for name, *_ in self.calls]

    def given(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of this name."""
        return [tuple(rest) for called, *rest in self.calls if called == name]

    def note(self, name: str, *arguments: Any) -> None:
        """Records a call; raises if the test requests an error for it."""
        self.calls.append((name, *arguments))
        if name in self.fails:
            raise self.Error(f"{name} failed: {self.fails[name]}")

    def require_context(self, name: str) -> None:
        """As CUDA does."""
        if not self.stack:
            raise self.Error(f"{name} failed: invalid device context")

    def init(self) -> None:
        """As cuInit."""
        self.note("init")

    def Device(self, number: int) -> "Device":  # noqa: N802 (pycuda's name)
        """As cuDeviceGet."""
        self.note("Device", number)
        return Device(self)

    def module_from_buffer(self, data: bytes) -> "Module":
        """As cuModuleLoadDataEx."""
        self.note("module_from_buffer", data)
        self.require_context("module_from_buffer")
        if data.startswith(self.refused):
            raise self.Error("module_from_buffer failed: device kernel image is invalid")
        return Module(self)

    def _library(self, name: str) -> SimpleNamespace:
        assert name == "libcuda.so.1"
        return SimpleNamespace(cuCtxPopCurrent_v2=lambda _: self._pop())

    def _pop(self) -> None:
        self.note("cuCtxPopCurrent")
        self.stack.pop()


class Device:
    """pycuda.driver.Device."""

    def __init__(self, driver: PycudaDriver) -> None:
        self._driver = driver

    def compute_capability(self) -> tuple[int, int]:
        """The value that the test has set."""
        return self._driver.capability

    def retain_primary_context(self) -> "Context":
        """As cuDevicePrimaryCtxRetain, which makes nothing current."""
        self._driver.note("retain_primary_context")
        return Context(self._driver)


class Context:
    """A retained primary context."""

    def __init__(self, driver: PycudaDriver) -> None:
        self._driver = driver

    def push(self) -> None:
        """As cuCtxPushCurrent."""
        self._driver.note("push")
        self._driver.stack.append("primary")

    def pop(self) -> None:
        """As cuCtxPopCurrent."""
        self._driver.note("pop")
        self._driver.stack.pop()

    def detach(self) -> None:
        """As cuDevicePrimaryCtxRelease, which leaves the stack as it is."""
        self._driver.note("detach")


class Module:
    """A loaded module; it is unloaded with its last function."""

    def __init__(self, driver: PycudaDriver) -> None:
        self._driver = driver

    def get_function(self, name: str) -> "Function":
        """As cuModuleGetFunction."""
        self._driver.note("get_function", name)
        return Function(self._driver, name, self)

    def __del__(self) -> None:
        self._driver.note("unload", tuple(self._driver.stack))


class Function:
    """A kernel."""

    def __init__(self, driver: PycudaDriver, name: str, module: Module) -> None:
        self._driver, self._name, self._module = driver, name, module

    def set_attribute(self, attribute: str, value: int) -> None:
        """As cuFuncSetAttribute."""
        self._driver.require_context("set_attribute")
        self._driver.note("set_attribute", self._name, attribute, value)

    def prepare(self, layout: str) -> None:
        """Fixes the types of the arguments."""
        self._layout = layout

    def prepared_async_call(
        self,
        grid: tuple[int, ...],
        block: tuple[int, int, int],
        stream: Any,
        *arguments: int,
        shared_size: int,
    ) -> None:
        """As cuLaunchKernel."""
        assert isinstance(grid, tuple) and isinstance(block, tuple)
        struct.pack(self._layout, *arguments)
        self._driver.require_context("launch")
        self._driver.note("launch", self._name, grid, block, stream, arguments, shared_size)
