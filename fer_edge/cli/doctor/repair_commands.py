"""The commands that install this package again, or restore its models."""

from fer_edge.installation.extras import IN_CHECKOUT, ROOT

REINSTALL = f"pip install -e {ROOT}" if IN_CHECKOUT else "pip install --force-reinstall --no-deps fer_edge"
RESTORE = f"git -C {ROOT} restore fer_edge/weights" if IN_CHECKOUT else REINSTALL
