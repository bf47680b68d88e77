"""Builds the extension `fer_edge._core`; everything else about the package is in pyproject.toml.

Each file in csrc/cpu is compiled once for every target of the machine, with that target's flags, and linked
into one extension. setuptools has no flags per file, so `build_ext` is subclassed. FER_EDGE_CORE=0 builds
without the extension, for machines that have no C++ compiler: OpenCV then computes, or NumPy without it.
FER_EDGE_CUDA=1 builds `fer_edge._cuda` as well, with the CUDA toolkit, for the architectures in
FER_EDGE_CUDA_ARCHITECTURES.
"""

import os
import sys
import sysconfig
from pathlib import Path

from pybind11 import get_include
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CSRC = Path("csrc")
# Contraction would let one target fuse a multiplication and an addition that another rounds twice.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-Wall",
    "-Wextra",
]
TARGETS = {
    "x86_64": {"scalar": [], "avx2": ["-mavx2", "-mfma", "-DFER_EDGE_USE_AVX2"]},
    "aarch64": {"scalar": [], "neon": ["-DFER_EDGE_USE_NEON"]},
}


class BuildTargets(build_ext):
    """`build_ext` that adds the objects of every target to the extension."""

    def build_extension(self, ext: Extension) -> None:
        """Compile the kernels of the extension, then the rest, and link."""
        ext.extra_objects = (self._cuda_kernels if ext.name.endswith("_cuda") else self._cpu_kernels)(ext)
        super().build_extension(ext)

    def _cpu_kernels(self, ext: Extension) -> list[str]:
        objects = []
        # Not platform.machine(), which is wrong for a cross compiler.
        machine = sysconfig.get_platform().rpartition("-")[2]
        for target, flags in TARGETS.get(machine, {"scalar": []}).items():
            objects += self.compiler.compile(
                sorted(str(path) for path in CSRC.glob("cpu/*.cpp")),
                output_dir=str(Path(self.build_temp) / target),
                extra_postargs=[*FLAGS, *flags, f"-DFER_EDGE_TARGET={target}"],
                depends=ext.depends,
            )
        return objects

    def _cuda_kernels(self, ext: Extension) -> list[str]:
        sys.path.insert(0, str(CSRC / "cuda"))
        import toolkit

        return toolkit.prepare(ext, Path(self.build_temp) / "cuda")


def extension(name: str, sources: list[Path]) -> Extension:
    """An extension of FLAGS; its kernels are added when it is built."""
    return Extension(
        name,
        sources=sorted(map(str, sources)),
        include_dirs=[get_include()],
        extra_compile_args=FLAGS,
        depends=["setup.py", *sorted(str(path) for path in CSRC.rglob("*.[ch]*"))],
        language="c++",
    )


core = [] if os.environ.get("FER_EDGE_CORE") == "0" else [extension("fer_edge._core", [*CSRC.glob("*.cpp")])]
cuda = (
    [extension("fer_edge._cuda", [CSRC / "cuda/bindings.cpp"])]
    if os.environ.get("FER_EDGE_CUDA") == "1"
    else []
)
setup(ext_modules=core + cuda, cmdclass={"build_ext": BuildTargets})
