"""The numeric tests on each instruction set that this CPU has, with several seeds: `make test-isa`.

PyTorch, oneDNN, MKL and NumPy's OpenBLAS select their code for the CPU when they are loaded; environment
variables limit the selection. Each instruction set sums in another order, so the results differ, and each
must be within the tolerance of precision.py.

    python -m tests.kernels.run_isa [--seeds 0 1 2]

One line for each instruction set and seed; the exit code is 1 if one failed.
"""

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class InstructionSet(NamedTuple):
    """Environment variables that limit the libraries, and the CPU flags that they need."""

    name: str
    aten: str
    onednn: str
    mkl: str
    openblas: str
    needs: frozenset[str]


AVX512 = frozenset(("avx512f", "avx512bw", "avx512dq", "avx512vl"))
X86 = (
    InstructionSet("default", "default", "SSE41", "SSE4_2", "Nehalem", frozenset(("sse4_1",))),
    InstructionSet("avx2", "avx2", "AVX2", "AVX2", "Haswell", frozenset(("avx2", "fma"))),
    InstructionSet("avx512", "avx512", "AVX512_CORE", "AVX512", "SkylakeX", AVX512),
    InstructionSet(
        "avx512 + amx",
        "avx512",
        "AVX512_CORE_AMX",
        "AVX512",
        "SkylakeX",
        AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"},
    ),
)
# oneDNN and the others have no such switch there.
ARM = (InstructionSet("default", "default", "", "", "", frozenset()),)


def cpu_flags() -> set[str]:
    """Instruction sets of the CPU, by the names that Linux gives them."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def run(chosen: InstructionSet, seed: int) -> subprocess.CompletedProcess[str]:
    """Runs the numeric tests in separate processes."""
    switches = {
        "ATEN_CPU_CAPABILITY": chosen.aten,
        "ONEDNN_MAX_CPU_ISA": chosen.onednn,
        "MKL_ENABLE_INSTRUCTIONS": chosen.mkl,
        "OPENBLAS_CORETYPE": chosen.openblas,
        "TEST_SEED": str(seed),
    }
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "numeric",
            "-n",
            "auto",
            "--dist",
            "worksteal",
            "tests/kernels",
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ | {name: value for name, value in switches.items() if value},
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    """Runs the instruction sets of this CPU and lists those that it lacks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    flags, failed = cpu_flags(), False
    for chosen in X86 if platform.machine() == "x86_64" else ARM:
        missing = sorted(chosen.needs - flags)
        if missing:
            print(f"{chosen.name}: skipped, this CPU has no {', '.join(missing)}", flush=True)
            continue
        for seed in seeds:
            done = run(chosen, seed)
            summary = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()]
            verdict = "passed" if done.returncode == 0 else f"failed\n{done.stdout}{done.stderr}"
            print(f"{chosen.name}, seed {seed}: {verdict} ({summary[0]})", flush=True)
            failed |= done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
