"""Compiles one Triton kernel to cubin and PTX for one compute capability, without a GPU.

PTX has the oldest version that supports the architecture, because a driver cannot read PTX newer than itself:
JetPack 6 (CUDA 12.6) reads up to 8.5. Line information is omitted, because it contains paths of the build
machine.
"""

import contextlib
import hashlib
import importlib
import io
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import Any

import triton
from triton import knobs
from triton._C.libtriton import get_cache_invalidating_env_vars
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.errors import TritonError

from fer_edge.aot.manifest import HIDDEN, IMAGES, Number

WARP = 32
# Compute capability -> (PTX version, largest dynamic shared memory of a block in bytes).
ARCHITECTURES = {
    75: (80, 64 * 1024),
    80: (80, 163 * 1024),
    86: (80, 99 * 1024),
    87: (80, 163 * 1024),
    89: (80, 99 * 1024),
    90: (80, 227 * 1024),
    110: (90, 227 * 1024),
    120: (87, 99 * 1024),
}
MIN_BF16_ARCHITECTURE = 80
_LOG_PATTERNS = {
    "registers": r"Used (\d+) registers",
    "stack_bytes": r"(\d+) bytes stack frame",
    "spill_bytes": r"(\d+) bytes spill (?:stores|loads)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kernel with all its compile-time constants, for any architecture. It can be pickled."""

    operation: str
    module: str
    name: str
    digest: str  # of its source and of every function that it calls
    pointers: tuple[tuple[str, str], ...]  # name and dtype
    constants: tuple[tuple[str, Number], ...]
    num_warps: int
    num_stages: int
    max_registers: int | None = None  # per thread

    @property
    def id(self) -> str:
        """A file name that changes with any input of the compilation."""
        return f"{self.operation}-{self.name}-{_digest(asdict(self), triton.__version__)[:12]}"

    def key(self, architecture: int) -> str:
        """sha256 of everything that the binary depends on."""
        return _digest(
            self.id,
            architecture,
            ARCHITECTURES[architecture],
            assembler(architecture),
            get_cache_invalidating_env_vars(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledKernel:
    """The output of the compiler and its properties."""

    cubin: bytes
    ptx: bytes
    threads: int
    shared_bytes: int
    registers: int
    stack_bytes: int
    spill_bytes: int


def assembler(architecture: int) -> str:
    """The version of the ptxas in the Triton package for an architecture."""
    tool = knobs.nvidia.ptxas_blackwell if architecture >= 100 else knobs.nvidia.ptxas
    return str(tool.version)


def prepare_process(cache: str) -> None:
    """Prepares a process that compiles: no cached kernels, with a log of ptxas, without line information."""
    os.environ.update(
        TRITON_CACHE_DIR=cache,
        TRITON_ALWAYS_COMPILE="1",
        TRITON_DUMP_PTXAS_LOG="1",
        TRITON_DISABLE_LINE_INFO="1",
    )


def compile_kernel(source: Source, architecture: int) -> CompiledKernel:
    """Compiles a kernel. `prepare_process` must have been called; RuntimeError names the kernel."""
    function = getattr(importlib.import_module(source.module), source.name)
    types = {name: f"*{dtype}" for name, dtype in source.pointers} | {IMAGES: "i32"}
    count, constants = len(types), dict(source.constants)
    names = function.arg_names
    if names[:count] != list(types) or set(names[count:]) != constants.keys():
        raise RuntimeError(f"{source.name} must have the parameters {[*types, *constants]}, got {names}")
    signature = types | dict.fromkeys(names[count:], "constexpr")
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(len(source.pointers))}
    version, limit = ARCHITECTURES[architecture]
    report = io.StringIO()
    try:
        with contextlib.redirect_stdout(report):
            kernel = triton.compile(
                ASTSource(function, signature, constexprs=constants, attrs=aligned),
                target=GPUTarget("cuda", architecture, WARP),
                options={
                    "num_warps": source.num_warps,
                    "num_stages": source.num_stages,
                    "maxnreg": source.max_registers,
                    "ptx_version": version,
                },
            )
    # The front end and ptxas raise TritonError, the passes between them RuntimeError.
    except (TritonError, RuntimeError) as error:
        raise RuntimeError(f"{source.id} cannot be compiled for sm_{architecture}: {error}") from error
    data = kernel.metadata
    _check(source, architecture, data, limit)
    return CompiledKernel(
        cubin=kernel.asm["cubin"],
        ptx=kernel.asm["ptx"].encode("ascii"),
        threads=WARP * data.num_warps,
        shared_bytes=data.shared,
        **{
            name: sum(map(int, re.findall(pattern, report.getvalue())))
            for name, pattern in _LOG_PATTERNS.items()
        },
    )


def _check(source: Source, architecture: int, data: Any, limit: int) -> None:
    """Checks the properties that the loader relies on."""
    where = f"{source.id} for sm_{architecture}"
    if data.shared > limit:
        raise RuntimeError(f"{where} must need at most {limit} bytes of shared memory, got {data.shared}")
    sizes = [getattr(data, f"{name}_size") for name in HIDDEN]
    if any(sizes):
        raise RuntimeError(f"{where} must need no hidden memory, got {dict(zip(HIDDEN, sizes, strict=True))}")
    if data.name != source.name:
        raise RuntimeError(f"{where} must be called {source.name}, got {data.name}")
    if data.num_ctas != 1 or data.launch_cooperative_grid or data.launch_pdl or data.tensordesc_meta:
        raise RuntimeError(f"{where} must need no cluster, cooperative launch or tensor descriptor")


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
