"""Tells PyInstaller what an application with fer_edge consists of; nothing imports this package at run time.

PyInstaller finds it through the entry point `pyinstaller40` in pyproject.toml (see "Providing PyInstaller
hooks with your package" in https://pyinstaller.org/en/stable/hooks.html). A hook is applied when its module
becomes a part of the application, so that OpenCV is packed only with the command line.
"""

from pathlib import Path


def hook_folders() -> list[str]:
    """Returns the folders with the files hook-MODULE.py."""
    return [str(Path(__file__).parent)]
