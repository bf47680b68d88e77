"""Makes the libraries that pycuda is built with and imports on a machine without a driver.

    python tests/with_pycuda/libraries.py HEADERS FOLDER

`HEADERS` is the folder of cuda.h. `FOLDER` gets libcuda.so: the double of driver.c, and every other function
of cuda.h, which fails with "not supported".
"""

import re
import subprocess
import sys
from pathlib import Path

DOUBLE = Path(__file__).with_name("driver.c")
COMPILER = "cc"
NOT_SUPPORTED = 801


def functions(headers: Path) -> set[str]:
    """The functions of cuda.h by the names that programs link to, such as cuMemAlloc_v2."""
    command = [COMPILER, "-E", "-P", "-x", "c", "-"]
    code = subprocess.run(
        [*command, f"-I{headers}"],
        input="#include <cuda.h>\n#include <cudaProfiler.h>\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(re.findall(r"\bCUresult\s+(cu\w+)\s*\(", code))


def main(headers: Path, folder: Path) -> None:
    """Compiles libcuda.so.1, and its name without a version for the linker."""
    folder.mkdir(parents=True, exist_ok=True)
    own = set(re.findall(r"^int (cu\w+)\(", DOUBLE.read_text(), re.MULTILINE))
    rest = folder / "rest.c"
    declared = functions(headers)
    if unknown := own - declared:
        raise SystemExit(f"cuda.h must declare the functions of the double, it lacks {', '.join(unknown)}")
    others = sorted(declared - own)
    rest.write_text("".join(f"int {name}(void) {{ return {NOT_SUPPORTED}; }}\n" for name in others))
    library = folder / "libcuda.so.1"
    command = [COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([*command, "-o", str(library), str(DOUBLE), str(rest)], check=True)
    for name, target in (("libcuda.so", library), *_curand(headers)):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.resolve())


def _curand(headers: Path) -> list[tuple[str, Path]]:
    """The wheel's library, under the linker's name."""
    found = next((headers.parent / "lib").glob("libcurand.so.*"))
    return [("libcurand.so", found), (found.name, found)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
