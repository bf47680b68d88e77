"""Check a folder of ahead-of-time kernels against its manifest: ``python -m fer_edge.cubins DIR``.

Exit codes: 0 the folder is what its manifest says; 1 it is not, one line for each problem; 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_edge.cubins import manifest
from fer_edge.cubins.check import problems
from fer_edge.models import ModelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code; as argparse does, wrong usage raises SystemExit(2)."""
    parser = argparse.ArgumentParser(
        prog="python -m fer_edge.cubins", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder: Path = parser.parse_args(arguments).folder
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder")
    try:
        content = manifest.read(folder)
    except ModelError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    found = problems(folder, content)
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    if found:
        return 1
    binaries = [binary for _, _, binary in content.files()]
    size = sum(binary.cubin.size + binary.ptx.size for binary in binaries)
    sys.stdout.write(
        f"{folder}: {len(content.operations)} operations, {len(content.kernels)} kernels, "
        f"{2 * len(binaries)} files ({size / 1e6:.1f} MB) for "
        f"{', '.join(f'sm_{a}' for a in content.architectures)}: as listed\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
