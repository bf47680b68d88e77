"""Loads a folder of cubins and launches them on the primary context, which PyTorch, TensorRT and ONNX Runtime
use too: their memory can be passed, and no second context takes any.

pycuda launches on streams that it made and on no others. Where another library is to use the same stream,
make it with pycuda and hand its `handle` on: `context.execute_async_v3(stream.handle)`.
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

from fer_edge.cubins.check import verified
from fer_edge.cubins.manifest import NAME, Binary, Buffer, File, Kernel, Number, Operation, read
from fer_edge.models import ModelError

_LOG = logging.getLogger("fer_edge")
ALIGNMENT = 16
MAX_IMAGES = 2**31 - 1
# Above it a kernel must ask for its dynamic shared memory before it is launched.
_SHARED_WITHOUT_ASKING = 48 * 1024


class Cubins:
    """The kernels of a folder on one GPU.

    Every public call makes the GPU's primary context current and takes it away again, so that contexts of
    other libraries are undisturbed. Kernels are loaded when an operation is first asked for. `close` frees
    them, in the thread that made this object.
    """

    def __init__(self, folder: str | Path, *, device: int = 0) -> None:
        """Reads the manifest and retains the primary context.

        Args:
            folder: what export.kernels_ahead_of_time wrote.
            device: number of the GPU.

        Raises:
            ModelError: the manifest is missing or makes no sense.
            ImportError: pycuda is missing.
            RuntimeError: CUDA's driver or the GPU is missing; the message holds CUDA's error.
        """
        self._folder = Path(folder)
        self._manifest = read(self._folder)
        self._driver = _pycuda_driver()
        self._thread = threading.get_ident()
        self._functions: dict[str, Any] = {}
        self._refused = False
        with self._told(f"GPU {device} cannot be used"):
            self._driver.init()
            gpu = self._driver.Device(device)
            major, minor = gpu.compute_capability()
            self._architecture = 10 * major + minor
            self._context: Any = gpu.retain_primary_context()

    def __enter__(self) -> "Cubins":
        """Returns itself; the context is not current until `current` or a call makes it so."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Unloads the kernels and releases the primary context; a second call does nothing."""
        if self._context is None:
            return
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "Cubins must be closed in the thread that made it; CUDA frees its modules there"
            )
        with self._told("the kernels cannot be unloaded"):
            below = self._driver.Context.get_current()
            self._context.push()
            # pycuda unloads a module with its last function, which must happen in this context.
            self._functions.clear()
            self._context.detach()
        self._context = None
        # pycuda takes for granted that the release made the context beneath current again. CUDA's manual says
        # that it does not. (If pycuda knows the context beneath, it has made it current itself.)
        if below is None:
            ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the primary context current inside a with block, for streams and memory made by pycuda."""
        if self._context is None:
            raise RuntimeError("these Cubins are closed; make new ones")
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def operation(
        self,
        operation: str,
        *,
        dtype: str,
        channels_last: bool = False,
        images: int = 1,
        **shape: Number,
    ) -> "LoadedOperation":
        """Loads an operation's kernels.

        Args:
            operation: multi_branch_attention, dcif or token_attention.
            dtype: fp32, fp16 or bf16, of maps and weights.
            channels_last: whether maps lie in memory as [N, H, W, C].
            images: about how many come at a time; any number can be launched.
            **shape: channels, height, width, and what else tells the compiled ones apart: heads=8.

        Returns:
            What launches it.

        Raises:
            ModelError: nothing in the folder fits, or a file is missing or changed.
            RuntimeError: CUDA does not take a kernel; the message holds its error.
        """
        found = self._found(operation, dtype, channels_last, images, shape)
        with self.current():
            for launch in found.launches:
                if launch.kernel not in self._functions:
                    self._functions[launch.kernel] = self._function(self._manifest.kernels[launch.kernel])
        return LoadedOperation(self, found)

    def _found(
        self, operation: str, dtype: str, channels_last: bool, images: int, shape: Mapping[str, Number]
    ) -> Operation:
        def fits(entry: Operation) -> bool:
            same = (entry.operation, entry.dtype, entry.channels_last) == (operation, dtype, channels_last)
            return same and shape.items() <= entry.shape.items()

        entries = [entry for entry in self._manifest.operations if fits(entry)]
        if len({tuple(entry.shape.items()) for entry in entries}) != 1:
            layout = "channels-last" if channels_last else "contiguous"
            there = "\n".join(f"  {described(entry)}" for entry in self._manifest.operations)
            raise ModelError(
                f"{self._folder / NAME} must hold one {operation} {dtype} {layout} with {dict(shape)}, "
                f"got {len(entries)}; it holds\n{there}"
            )
        # The smallest that is made for so many images, else the largest.
        entries.sort(key=lambda entry: entry.images or 0)
        return next((entry for entry in entries if (entry.images or 0) >= images), entries[-1])

    def _function(self, kernel: Kernel) -> Any:
        """Loads a kernel's verified bytes into the current context."""
        if any(hidden.size for hidden in kernel.hidden):
            raise ModelError(f"{kernel.symbol} needs hidden memory, which this loader does not allocate")
        binary, *files = self._chosen(kernel)
        function = self._loaded(kernel.symbol, *files)
        with self._told(f"{kernel.symbol} cannot be prepared"):
            if binary.shared_bytes > _SHARED_WITHOUT_ASKING:
                largest = self._driver.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES
                function.set_attribute(largest, binary.shared_bytes)
            function.prepare("P" * len(kernel.pointers) + "i" + "P" * len(kernel.hidden))
        return function, binary

    def _loaded(self, symbol: str, file: File, instead: File | None = None) -> Any:
        """The function of a file, or of the one to take instead where the driver refuses the first."""
        try:
            data = verified(self._folder, file)
        except ModelError as error:
            raise ModelError(f"{self._folder / file.name} {error}") from error
        try:
            # A PTX text must end in a zero byte; a cubin does not mind one.
            return self._driver.module_from_buffer(data + b"\0").get_function(symbol)
        except self._driver.Error as error:
            if instead is None:
                raise RuntimeError(f"{file.name} cannot be loaded: {error}") from error
            # A driver older than the assembler refuses all of them: one warning is enough.
            if not self._refused:
                _LOG.warning(
                    "the driver refuses %s (%s), a newer one may not: it compiles PTX, which takes seconds",
                    file.name,
                    error,
                )
            self._refused = True
        return self._loaded(symbol, instead)

    def _chosen(self, kernel: Kernel) -> tuple[Binary, File] | tuple[Binary, File, File]:
        """The cubin for this GPU and its PTX, or the newest PTX that its driver can compile."""
        architecture = self._architecture
        if exact := kernel.binaries.get(str(architecture)):
            return exact, exact.cubin, exact.ptx
        # PTX for sm_90a and the like is for that GPU only. Cubins for a lower minor version would run on some
        # GPUs and not on Jetson's, so none is tried.
        plain = {int(name): b for name, b in kernel.binaries.items() if b.target == f"sm_{name}"}
        older = [name for name in plain if name < architecture]
        if not older:
            raise ModelError(
                f"{kernel.symbol} must be compiled for compute capability {architecture / 10} or have PTX of "
                f"an older one, got {', '.join(kernel.binaries)}; build the folder for it"
            )
        _LOG.warning(
            "no cubin of %s for compute capability %s: the driver compiles PTX of %s, which takes seconds",
            kernel.symbol,
            architecture / 10,
            max(older) / 10,
        )
        binary = plain[max(older)]
        return binary, binary.ptx

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """CUDA's errors as RuntimeError that says what was tried."""
        try:
            yield
        except self._driver.Error as error:
            raise RuntimeError(f"{what}: {error}") from error


class LoadedOperation:
    """An operation whose kernels are loaded; made by `Cubins.operation`."""

    def __init__(self, cubins: Cubins, entry: Operation) -> None:
        """See `Cubins.operation`."""
        self._cubins = cubins
        self._entry = entry
        self.buffers: Mapping[str, Buffer] = MappingProxyType(entry.buffers)

    def __call__(self, images: int, pointers: Mapping[str, SupportsInt], stream: Any) -> None:
        """Launches the kernels and returns at once.

        Args:
            images: number of images; 0 launches nothing.
            pointers: device addresses by the names of `buffers`, all of them, scratch and outputs too: memory
                of `Buffer.size` bytes each, in the GPU's primary context, from a multiple of 16 bytes on.
            stream: a pycuda.driver.Stream.

        Raises:
            TypeError, ValueError: an argument does not fit.
            RuntimeError: the `Cubins` are closed, or a launch failed; the message holds CUDA's error.
        """
        cubins, driver = self._cubins, self._cubins._driver
        addresses = self._checked(images, pointers)
        if not isinstance(stream, driver.Stream):
            raise TypeError(
                f"stream must be a pycuda.driver.Stream, got {type(stream).__name__}; pycuda launches on its "
                "own streams only: make one and give its handle to the other library"
            )
        if not images:
            return
        with cubins.current():
            for launch in self._entry.launches:
                function, binary = cubins._functions[launch.kernel]
                given = [addresses[name] for name in launch.pointers]
                hidden = [0] * len(cubins._manifest.kernels[launch.kernel].hidden)
                with cubins._told(f"{self._entry.operation} of {images} images cannot be launched"):
                    function.prepared_async_call(
                        launch.blocks(images),
                        (binary.threads, 1, 1),
                        stream,
                        *given,
                        images,
                        *hidden,
                        shared_size=binary.shared_bytes,
                    )

    def _checked(self, images: int, pointers: Mapping[str, SupportsInt]) -> dict[str, int]:
        if not 0 <= images <= MAX_IMAGES:
            raise ValueError(f"images must be 0 to {MAX_IMAGES}, got {images}")
        if pointers.keys() != self.buffers.keys():
            raise ValueError(f"pointers must be {', '.join(self.buffers)}, got {', '.join(pointers)}")
        addresses = {name: int(pointer) for name, pointer in pointers.items()}
        for name, address in addresses.items():
            if address % ALIGNMENT or (images and not address):
                raise ValueError(
                    f"{name} must lie at a multiple of {ALIGNMENT} bytes, got {address:#x}; the kernels read "
                    "16 bytes at a time"
                )
        return addresses


def described(entry: Operation) -> str:
    """An operation of a manifest in one line."""
    shape = " ".join(f"{name}={value}" for name, value in entry.shape.items())
    layout = "channels-last" if entry.channels_last else "contiguous"
    return f"{entry.operation} {shape} {entry.dtype} {layout}" + (
        f" images={entry.images}" if entry.images else ""
    )


def _pycuda_driver() -> Any:
    """pycuda.driver, which cannot be imported where CUDA's driver is missing."""
    try:
        return importlib.import_module("pycuda.driver")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"cubins need pycuda ({error}); pip install 'fer_edge[cubins]' (its build needs CUDA's headers)"
        ) from error
    except ImportError as error:
        raise RuntimeError(f"CUDA's driver is missing: {error}; install the GPU's driver") from error
