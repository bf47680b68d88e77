"""The wheels that this machine can run, each in a fresh environment of its Python.

    python -m tests.environments.wheels FOLDER PICTURE

A wheel for another architecture, or for a Python that is not here, is named and left out; at least one must
be run.
"""

import argparse
import json
import platform
import re
import tempfile
from pathlib import Path

from fer_edge.device.processor import instruction_sets
from release.interpreters import interpreter_from_version
from tests.environments.fresh import Environment, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="with the wheels")
    parser.add_argument("picture", type=Path, help="with one smiling face")
    options = parser.parse_args()
    results = [_try(wheel.resolve(), options.picture) for wheel in sorted(options.folder.glob("*.whl"))]
    if not any(results):
        raise SystemExit(f"no wheel in {options.folder} can be run on this machine")


def _try(wheel: Path, picture: Path) -> bool:
    """Installs and runs a wheel; returns whether this machine can."""
    found = re.search(rf"-cp(\d)(\d+)-.*_{platform.machine()}\.whl", wheel.name)
    if found is None:
        print(f"{wheel.name}: not run, for another architecture", flush=True)
        return False
    try:
        python = interpreter_from_version(f"{found[1]}.{found[2]}")
    except FileNotFoundError:
        print(f"{wheel.name}: not run, its Python is not here", flush=True)
        return False
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder), python)
        environment.install(f"fer_edge[opencv] @ {wheel.as_uri()}")
        print(f"{wheel.name}: {_check(environment, picture)}", flush=True)
    return True


def _check(environment: Environment, picture: Path) -> str:
    """Runs the command line; returns what it saw."""
    command = environment.command("fer-edge")
    (face,) = json.loads(run(command, "predict", picture, "--json"))["faces"]
    if face["label"] != "happiness":
        raise SystemExit(f"expected happiness, got {face}")
    report = run(command, "doctor")
    if "fix:" in report:
        raise SystemExit(report)
    (kernels,) = (line for line in report.splitlines() if " kernels " in line)
    best = "neon" if platform.machine() == "aarch64" else "avx2" if "avx2" in instruction_sets() else "scalar"
    if f" kernels {best} " not in " ".join(kernels.split()):
        raise SystemExit(f"expected the kernels {best}, got: {kernels}")
    return f"{face['label']} {face['confidence']:.2f}; {' '.join(kernels.split())}"


if __name__ == "__main__":
    main()
