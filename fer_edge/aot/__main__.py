"""Checks a folder of ahead-of-time kernels against its manifest: ``python -m fer_edge.aot DIR``.

Exit codes: 0 the folder agrees with its manifest; 1 it does not, and each problem is printed on one line;
2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_edge.aot import manifest
from fer_edge.aot.check import problems
from fer_edge.argument_types import nonempty_path
from fer_edge.models import ModelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. Wrong usage raises SystemExit(2), as in argparse."""
    parser = argparse.ArgumentParser(
        prog="python -m fer_edge.aot", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=nonempty_path, metavar="DIR")
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
    binaries = [binary for _, _, binary in content.all_binaries()]
    size = sum(binary.cubin.size + binary.ptx.size for binary in binaries)
    sys.stdout.write(
        f"{folder}: {len(content.operations)} operations, {len(content.kernels)} kernels, "
        f"{2 * len(binaries)} files ({size / 1e6:.1f} MB) for "
        f"{', '.join(f'sm_{a}' for a in content.architectures)}: as listed\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
