"""The CUDA toolkit: where it is, and how the sources of this folder are compiled with it.

Used by setup.py, the tests and benchmarks/cuda_resources.py, so that all of them mean the same flags.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent
ARCHITECTURES = "75 80 86 87 89 90 110 120"
# What the sources ask the architecture for is new in these. Everything between is translated from the same
# intermediate code, which takes half of the time and behaves the same: __CUDA_ARCH__ is one of them.
VIRTUAL = (75, 80)
# Contraction stays on: sums are compared with a tolerance, and warp_normalize says itself where it rounds.
FLAGS = ("-std=c++17", "-O3", "--threads", "2", "-cudart", "static")
HOST_FLAGS = "-fPIC,-fvisibility=hidden,-Wall,-Wextra"


def find() -> Path:
    """The toolkit's folder: that of CUDA_HOME, else of the nvcc on PATH, else /usr/local/cuda.

    Raises:
        FileNotFoundError: there is none with compiler and headers; setuptools prints the message and stops.
    """
    home, on_path = os.environ.get("CUDA_HOME"), shutil.which("nvcc")
    # What is on PATH may be a script that calls the compiler of another folder.
    beside = [Path(on_path).resolve().parents[1]] if on_path else []
    folders = [Path(home)] if home else [*beside, Path("/usr/local/cuda")]
    for folder in folders:
        if (folder / "bin/nvcc").exists() and (folder / "include/cuda_runtime.h").exists():
            return folder
    raise FileNotFoundError(
        "FER_EDGE_CUDA=1 needs a CUDA toolkit in CUDA_HOME, around the nvcc on PATH or in /usr/local/cuda, "
        f"got none in {', '.join(map(str, folders))}; install one from 12.6 on, or leave FER_EDGE_CUDA out"
    )


def architectures() -> list[str]:
    """Compute capabilities to compile for, without the dot, from FER_EDGE_CUDA_ARCHITECTURES."""
    named = os.environ.get("FER_EDGE_CUDA_ARCHITECTURES", ARCHITECTURES).replace(",", " ").split()
    return sorted(named, key=int)


def sources() -> list[Path]:
    """The kernels, one file for each operation."""
    return sorted(FOLDER.glob("*.cu"))


def _virtual(target: str) -> int:
    return max((virtual for virtual in VIRTUAL if virtual <= int(target)), default=int(target))


def compile_sources(
    paths: Sequence[Path], folder: Path, targets: Sequence[str], *extra: str
) -> dict[Path, tuple[Path, str]]:
    """Compile each source for all targets, and to PTX for whatever is newer than all of them.

    Returns:
        The object of each source, and what nvcc said meanwhile.

    Raises:
        ChildProcessError: nvcc failed; with its words.
    """
    nvcc = find() / "bin" / "nvcc"
    code = [f"-gencode=arch=compute_{_virtual(target)},code=sm_{target}" for target in targets]
    newest = _virtual(targets[-1])
    code.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
    folder.mkdir(parents=True, exist_ok=True)

    def one(path: Path) -> tuple[Path, str]:
        made = folder / f"{path.stem}.o"
        command = [nvcc, *FLAGS, "-Xcompiler", HOST_FLAGS, *code, *extra, "-c", path, "-o", made]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ChildProcessError(
                f"nvcc failed on {path} for {' '.join(targets)}; FER_EDGE_CUDA_ARCHITECTURES chooses others\n"
                + done.stdout
                + done.stderr
            )
        return made, done.stdout + done.stderr

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(one, paths), strict=True))
