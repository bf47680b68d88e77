"""The command that adds an extra, for this installation or another."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
IN_CHECKOUT = (ROOT / "pyproject.toml").exists()


def install_extra(extra: str, *, here: bool = True) -> str:
    """The command that adds an extra; ``here``: to this installation, which may be a checkout."""
    return f"pip install -e '{ROOT}[{extra}]'" if here and IN_CHECKOUT else f"pip install 'fer_edge[{extra}]'"
