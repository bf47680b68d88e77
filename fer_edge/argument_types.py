"""Types of arguments of the command line that name files.

An empty name, which a shell gives for an unset variable, would be the current folder.
"""

import argparse
from pathlib import Path


def nonempty(text: str) -> str:
    """Returns an argument as it is; argparse.ArgumentTypeError: it is empty."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a name (. is the current folder)")
    return text


def nonempty_path(text: str) -> Path:
    """Returns an argument as a path; raises as `nonempty`."""
    return Path(nonempty(text))
