"""What the operating system says about the processor."""

from pathlib import Path

# The instruction sets that decide the speed of a network, by Linux's names: float32, int8, bfloat16.
INSTRUCTION_SETS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
)
# Each of them multiplies bfloat16 numbers. Without one, an engine emulates them, slower than float32.
BFLOAT16 = ("avx512_bf16", "amx_bf16")
CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """The name of the processor, empty if the system does not say it."""
    return _entry("model name")


def instruction_sets() -> list[str]:
    """Those of INSTRUCTION_SETS that the processor has; Arm's entry in /proc/cpuinfo is called Features."""
    found = (_entry("flags") or _entry("Features")).split()
    return [name for name in INSTRUCTION_SETS if name in found]


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers itself."""
    return any(name in BFLOAT16 for name in instruction_sets())


def has_amx_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices with AMX, several times as fast as AVX512-BF16."""
    return "amx_bf16" in instruction_sets()


def _entry(name: str) -> str:
    """The first value of an entry of /proc/cpuinfo, empty if there is none."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return ""
