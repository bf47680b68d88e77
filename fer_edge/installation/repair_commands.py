"""The commands that add an extra, install this package again, or restore its models."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
IN_CHECKOUT = (ROOT / "pyproject.toml").exists()
REINSTALL = f"pip install -e {ROOT}" if IN_CHECKOUT else "pip install --force-reinstall --no-deps fer_edge"
RESTORE = f"git -C {ROOT} restore fer_edge/weights" if IN_CHECKOUT else REINSTALL


def install_extra(extra: str, *, here: bool = True) -> str:
    """The command that adds an extra; ``here``: to this installation, which may be a checkout."""
    return f"pip install -e '{ROOT}[{extra}]'" if here and IN_CHECKOUT else f"pip install 'fer_edge[{extra}]'"
