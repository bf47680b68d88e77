"""Finds the CUDA toolkit and compiles the sources of this folder with it.

setup.py, the tests and benchmarks.kernel.cuda_resources use it, so all of them compile with the same flags.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent
ARCHITECTURES = "75 80 86 87 89 90 110 120"
# sm_110 needs nvcc 13.0 and sm_120 needs 12.8; JetPack 6 has 12.6.
NEEDED = "all of them need nvcc 13.0; on JetPack 6, with 12.6, set FER_EDGE_CUDA_ARCHITECTURES=87"
# The sources use only features that begin with these architectures. The architectures between are compiled
# from the PTX of the one below, which takes half the time; __CUDA_ARCH__ is then one of these.
VIRTUAL = (75, 80)
# Contraction stays enabled: sums are compared with a tolerance, and warp_normalize uses explicit rounding.
FLAGS = ("-std=c++17", "-O3", "--threads", "2", "-cudart", "static", "-Xptxas", "-v")
HOST_FLAGS = "-fPIC,-fvisibility=hidden,-Wall,-Wextra"


class Compiled(NamedTuple):
    """An object file and the log of nvcc and ptxas."""

    path: Path
    log: str


def find() -> Path:
    """The folder of the toolkit: CUDA_HOME, else that of the nvcc on PATH, else /usr/local/cuda.

    Raises:
        FileNotFoundError: no folder has compiler and headers; setuptools prints the message and stops.
    """
    home, on_path = os.environ.get("CUDA_HOME"), shutil.which("nvcc")
    # The nvcc on PATH may be a script that calls the compiler of another folder.
    beside = [Path(on_path).resolve().parents[1]] if on_path else []
    folders = [Path(home)] if home else [*beside, Path("/usr/local/cuda")]
    for folder in folders:
        if (folder / "bin/nvcc").exists() and (folder / "include/cuda_runtime.h").exists():
            return folder
    raise FileNotFoundError(
        "FER_EDGE_CUDA=1 needs a CUDA toolkit in CUDA_HOME, around the nvcc on PATH or in /usr/local/cuda, "
        f"got none in {', '.join(map(str, folders))}; install one, or leave FER_EDGE_CUDA out. "
        f"It compiles for {ARCHITECTURES} by default: {NEEDED}"
    )


def architectures() -> list[str]:
    """Compute capabilities to compile for, without the dot, from FER_EDGE_CUDA_ARCHITECTURES."""
    named = os.environ.get("FER_EDGE_CUDA_ARCHITECTURES", ARCHITECTURES).replace(",", " ").split()
    if not named or not all(name.isdigit() for name in named):
        raise ValueError(
            "FER_EDGE_CUDA_ARCHITECTURES must be compute capabilities without the dot, got "
            f"{' '.join(named) or 'none'}; for example {ARCHITECTURES}"
        )
    return sorted(named, key=int)


def sources() -> list[Path]:
    """The kernels, one file per operation."""
    return sorted(FOLDER.glob("*.cu"))


def compile_sources(paths: Sequence[Path], folder: Path, targets: Sequence[str]) -> list[Compiled]:
    """Compiles each source for all targets, and to PTX for newer GPUs.

    A source that has not changed since the last compilation in the folder is not compiled again.

    Raises:
        ChildProcessError: nvcc failed; the message contains its output.
    """
    compiler = str(find() / "bin/nvcc")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    command = [compiler, *FLAGS, "-Xcompiler", HOST_FLAGS]
    command += [f"-gencode=arch=compute_{_virtual(target)},code=sm_{target}" for target in targets]
    newest = _virtual(targets[-1])
    command.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda path: _compile(command, version, path, folder / f"{path.stem}.o"), paths))


def prepare(extension: Any, folder: Path) -> list[str]:
    """Compiles the kernels for the extension, a setuptools.Extension, and links the CUDA runtime.

    The runtime is linked statically and looks for the driver on its first call. So the extension can be
    imported without a driver.
    """
    home = find()
    extension.include_dirs.append(str(home / "include"))
    extension.library_dirs += [str(home / name) for name in ("lib64", "lib") if (home / name).exists()]
    extension.libraries += ["cudart_static", "dl", "rt", "pthread"]
    return [str(compiled.path) for compiled in compile_sources(sources(), folder, architectures())]


def _virtual(target: str) -> int:
    return max((virtual for virtual in VIRTUAL if virtual <= int(target)), default=int(target))


def _compile(command: Sequence[str], version: str, source: Path, made: Path) -> Compiled:
    key, log = made.with_suffix(".sha256"), made.with_suffix(".log")
    state = _state(command, version, source)
    if made.exists() and log.exists() and key.exists() and key.read_text() == state:
        return Compiled(made, log.read_text())
    key.unlink(missing_ok=True)
    done = subprocess.run(
        [*command, "-c", str(source), "-o", str(made)], capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise ChildProcessError(
            f"nvcc failed on {source}; FER_EDGE_CUDA_ARCHITECTURES chooses what to compile for, "
            f"{ARCHITECTURES} if unset: {NEEDED}\n{output}"
        )
    log.write_text(output)
    key.write_text(state)
    return Compiled(made, output)


def _state(command: Sequence[str], version: str, source: Path) -> str:
    """A digest of everything that the object depends on.

    It includes the environment variable that nvcc reads flags from, and the version, because a newer nvcc may
    replace an older one in the same folder.
    """
    words = [*command, os.environ.get("NVCC_APPEND_FLAGS", ""), version]
    digest = hashlib.sha256("\n".join(words).encode())
    for path in (source, *sorted(FOLDER.glob("*.h")), *sorted(FOLDER.glob("*.cuh"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
