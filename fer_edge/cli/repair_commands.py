"""The commands that install this package again, restore its models, or add an extra."""

from fer_edge import models

ROOT = models.WEIGHTS.parent.parent
IN_CHECKOUT = (ROOT / "pyproject.toml").exists()
REINSTALL = f"pip install -e {ROOT}" if IN_CHECKOUT else "pip install --force-reinstall --no-deps fer_edge"
RESTORE = f"git -C {ROOT} restore fer_edge/weights" if IN_CHECKOUT else REINSTALL


def install_extra(extra: str) -> str:
    """The command that adds an extra to this installation."""
    return f"pip install -e '{ROOT}[{extra}]'" if IN_CHECKOUT else f"pip install 'fer_edge[{extra}]'"
