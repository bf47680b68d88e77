"""Loads a folder of compiled kernels and launches them in the primary CUDA context.

PyTorch, TensorRT and ONNX Runtime use the primary context too. So the kernels can read their memory, and no
second context occupies GPU memory.

pycuda launches only on streams that pycuda made. To share a stream with another library, make it with pycuda
and pass its `handle`: `context.execute_async_v3(stream.handle)`.
"""

import ctypes
import importlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, SupportsInt

from fer_edge.aot.check import verified
from fer_edge.aot.manifest import (
    NAME,
    Binary,
    Buffer,
    File,
    Kernel,
    Number,
    Operation,
    blocks_from_grid,
    read,
)
from fer_edge.installation.repair_commands import install_extra
from fer_edge.models import ModelError

_LOG = logging.getLogger("fer_edge")
ALIGNMENT = 16
MAX_IMAGES = 2**31 - 1
# A kernel with more dynamic shared memory than this must set a function attribute before its launch.
_DEFAULT_SHARED_LIMIT = 48 * 1024


class CompiledKernels:
    """The kernels of a folder on one GPU.

    Every public call makes the primary context of the GPU current and restores the previous one, so it does
    not disturb other libraries. `operation` loads the kernels of an operation on its first call. `close`
    frees them; call it in the thread that made this object.
    """

    def __init__(self, folder: str | Path, *, device: int = 0) -> None:
        """Reads the manifest and retains the primary context.

        Args:
            folder: output folder of export.kernels_ahead_of_time.
            device: index of the GPU.

        Raises:
            ModelError: the manifest is missing or invalid.
            ImportError: pycuda is missing.
            RuntimeError: the CUDA driver or the GPU is missing; the message contains CUDA's error.
        """
        self._folder = Path(folder)
        self._manifest = read(self._folder)
        self._driver = _pycuda_driver()
        self._thread = threading.get_ident()
        self._functions: dict[str, Any] = {}
        self._warned_of_refusal = False
        with self._cuda_errors(f"GPU {device} cannot be used"):
            self._driver.init()
            gpu = self._driver.Device(device)
            major, minor = gpu.compute_capability()
            self._architecture = 10 * major + minor
            self._context: Any = gpu.retain_primary_context()

    def __enter__(self) -> "CompiledKernels":
        """Returns itself. This does not make the context current; `current` does."""
        return self

    def __exit__(self, *_: object) -> None:
        """Calls `close`."""
        self.close()

    def close(self) -> None:
        """Unloads the kernels and releases the primary context; a second call does nothing."""
        if self._context is None:
            return
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "CompiledKernels must be closed in the thread that made it; CUDA frees its modules there"
            )
        with self._cuda_errors("the kernels cannot be unloaded"):
            previous = self._driver.Context.get_current()
            self._context.push()
            # pycuda unloads a module when its last function is deleted. This must happen in this context.
            self._functions.clear()
            self._context.detach()
        self._context = None
        # pycuda assumes that releasing the primary context also pops it. According to CUDA's manual it does
        # not. (If pycuda knows the previous context, it has already made that one current.)
        if previous is None:
            ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the primary context current inside a with block, for streams and memory made by pycuda."""
        if self._context is None:
            raise RuntimeError("this CompiledKernels is closed; open the folder again")
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def operation(
        self, operation: str, *, dtype: str, channels_last: bool = False, images: int = 1, **shape: Number
    ) -> "LoadedOperation":
        """Loads an operation's kernels.

        Args:
            operation: multi_branch_attention, dcif or token_attention.
            dtype: fp32, fp16 or bf16, of maps and weights.
            channels_last: whether maps lie in memory as [N, H, W, C].
            images: typical number of images per call. It selects an entry; any number can be launched.
            **shape: channels, height, width and other settings that identify the entry, for example heads=8.

        Returns:
            An object that launches the operation when it is called.

        Raises:
            ModelError: no entry of the folder matches, or a file is missing or changed.
            RuntimeError: CUDA rejects a kernel; the message contains CUDA's error.
        """
        entry = self._find_entry(operation, dtype, channels_last, images, shape)
        with self.current():
            for launch in entry.launches:
                if launch.kernel not in self._functions:
                    self._functions[launch.kernel] = self._load_kernel(self._manifest.kernels[launch.kernel])
        return LoadedOperation(self, entry)

    def _find_entry(
        self, operation: str, dtype: str, channels_last: bool, images: int, shape: Mapping[str, Number]
    ) -> Operation:
        def matches(entry: Operation) -> bool:
            same = (entry.operation, entry.dtype, entry.channels_last) == (operation, dtype, channels_last)
            return same and shape.items() <= entry.shape.items()

        entries = [entry for entry in self._manifest.operations if matches(entry)]
        if len({tuple(entry.shape.items()) for entry in entries}) != 1:
            layout = "channels-last" if channels_last else "contiguous"
            listed = "\n".join(f"  {entry.describe()}" for entry in self._manifest.operations)
            raise ModelError(
                f"{self._folder / NAME} must hold one {operation} {dtype} {layout} with {dict(shape)}, "
                f"got {len(entries)}; it holds\n{listed}"
            )
        # The first entry tuned for at least this many images, else the one for the most images.
        entries.sort(key=lambda entry: entry.images or 0)
        return next((entry for entry in entries if (entry.images or 0) >= images), entries[-1])

    def _load_kernel(self, kernel: Kernel) -> Any:
        """Loads a kernel into the current context, after its file has been verified."""
        if any(hidden.size for hidden in kernel.hidden):
            raise ModelError(f"{kernel.symbol} needs hidden memory, which this loader does not allocate")
        binary, *files = self._choose_binary(kernel)
        function = self._load_function(kernel.symbol, *files)
        with self._cuda_errors(f"{kernel.symbol} cannot be prepared"):
            if binary.shared_bytes > _DEFAULT_SHARED_LIMIT:
                largest = self._driver.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES
                function.set_attribute(largest, binary.shared_bytes)
            function.prepare("P" * len(kernel.pointers) + "i" + "P" * len(kernel.hidden))
        return function, binary

    def _load_function(self, symbol: str, file: File, fallback: File | None = None) -> Any:
        """The function of a file, or of the fallback if the driver refuses the file."""
        try:
            data = verified(self._folder, file)
        except ModelError as error:
            raise ModelError(f"{self._folder / file.name} {error}") from error
        try:
            # PTX must end with a zero byte; for a cubin the extra byte is harmless.
            return self._driver.module_from_buffer(data + b"\0").get_function(symbol)
        except self._driver.Error as error:
            if fallback is None:
                raise RuntimeError(f"{file.name} cannot be loaded: {error}") from error
            # A driver older than the assembler refuses every cubin: one warning is enough.
            if not self._warned_of_refusal:
                _LOG.warning(
                    "the driver refuses %s (%s) and compiles PTX, which takes seconds; a newer driver may "
                    "load it",
                    file.name,
                    error,
                )
            self._warned_of_refusal = True
        return self._load_function(symbol, fallback)

    def _choose_binary(self, kernel: Kernel) -> tuple[Binary, File] | tuple[Binary, File, File]:
        """The cubin for this GPU and its PTX, or the newest PTX that its driver can compile."""
        architecture = self._architecture
        if exact := kernel.binaries.get(str(architecture)):
            return exact, exact.cubin, exact.ptx
        # PTX for a target such as sm_90a runs on that architecture only. A cubin for a lower minor version
        # runs on some GPUs but not on Jetson, so none is tried.
        portable = {int(name): b for name, b in kernel.binaries.items() if b.target == f"sm_{name}"}
        older = [name for name in portable if name < architecture]
        if not older:
            raise ModelError(
                f"{kernel.symbol} must be compiled for compute capability {architecture / 10} or have PTX "
                f"for an older one, got {', '.join(kernel.binaries)}; build the folder for it"
            )
        _LOG.warning(
            "no cubin of %s for compute capability %s: the driver compiles the PTX for %s, "
            "which takes seconds",
            kernel.symbol,
            architecture / 10,
            max(older) / 10,
        )
        binary = portable[max(older)]
        return binary, binary.ptx

    @contextmanager
    def _cuda_errors(self, failure: str) -> Iterator[None]:
        """Turns an error of CUDA into a RuntimeError that names the failed step."""
        try:
            yield
        except self._driver.Error as error:
            raise RuntimeError(f"{failure}: {error}") from error


class LoadedOperation:
    """An operation whose kernels are loaded; made by `CompiledKernels.operation`."""

    def __init__(self, kernels: CompiledKernels, entry: Operation) -> None:
        """See `CompiledKernels.operation`."""
        self._kernels = kernels
        self._entry = entry
        self.buffers: Mapping[str, Buffer] = MappingProxyType(entry.buffers)

    def __call__(self, images: int, pointers: Mapping[str, SupportsInt], stream: Any) -> None:
        """Launches the kernels and returns without waiting for them.

        Args:
            images: number of images; 0 launches nothing.
            pointers: the device address of every buffer in `buffers`, scratch and outputs included. Each is
                a multiple of 16 and has `Buffer.size` bytes in the primary context of the GPU.
            stream: a pycuda.driver.Stream.

        Raises:
            TypeError, ValueError: an argument is invalid.
            RuntimeError: the `CompiledKernels` is closed, or a launch failed (with CUDA's error).
        """
        kernels, driver = self._kernels, self._kernels._driver
        addresses = self._checked_addresses(images, pointers)
        if not isinstance(stream, driver.Stream):
            raise TypeError(
                f"stream must be a pycuda.driver.Stream, got {type(stream).__name__}; pycuda launches on its "
                "own streams only: make one and give its handle to the other library"
            )
        if not images:
            return
        with kernels.current():
            for launch in self._entry.launches:
                function, binary = kernels._functions[launch.kernel]
                given = [addresses[name] for name in launch.pointers]
                hidden = [0] * len(kernels._manifest.kernels[launch.kernel].hidden)
                with kernels._cuda_errors(f"{self._entry.operation} of {images} images cannot be launched"):
                    function.prepared_async_call(
                        blocks_from_grid(launch.grid, images),
                        (binary.threads, 1, 1),
                        stream,
                        *given,
                        images,
                        *hidden,
                        shared_size=binary.shared_bytes,
                    )

    def _checked_addresses(self, images: int, pointers: Mapping[str, SupportsInt]) -> dict[str, int]:
        if not 0 <= images <= MAX_IMAGES:
            raise ValueError(f"images must be 0 to {MAX_IMAGES}, got {images}")
        if pointers.keys() != self.buffers.keys():
            raise ValueError(f"pointers must be {', '.join(self.buffers)}, got {', '.join(pointers)}")
        addresses = {name: int(pointer) for name, pointer in pointers.items()}
        for name, address in addresses.items():
            if address % ALIGNMENT or (images and not address):
                raise ValueError(
                    f"{name} must be a multiple of {ALIGNMENT} bytes, got {address:#x}; the kernels read "
                    "16 bytes at a time"
                )
        return addresses


def _pycuda_driver() -> Any:
    """pycuda.driver. Its import fails if the CUDA driver is missing."""
    try:
        return importlib.import_module("pycuda.driver")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"compiled kernels need pycuda ({error}); {install_extra('aot')} (its build needs the CUDA "
            "headers)"
        ) from error
    except ImportError as error:
        raise RuntimeError(f"the CUDA driver is missing: {error}; install the driver of the GPU") from error
