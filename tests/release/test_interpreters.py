"""The Pythons that wheels are built for."""

import platform
import subprocess

import pytest

from release.interpreters import interpreter_from_version


def make_python(folder, answer):
    """A command python9.9 that answers every program with one text."""
    path = folder / "python9.9"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_finds_a_python_with_headers():
    version = ".".join(platform.python_version_tuple()[:2])
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    try:
        found = interpreter_from_version(version)
    except FileNotFoundError as error:
        # A Python without its headers is refused, by name.
        assert "no Python.h" in str(error)
        return
    assert version in subprocess.check_output([found, "-I", "-c", code], text=True)


def test_a_version_that_is_not_here_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"CPython 9\.9 .* must be .*; install it \(`pyenv install 9\.9`"
    ):
        interpreter_from_version("9.9")


def test_a_python_without_headers_is_named(tmp_path, monkeypatch):
    path = make_python(tmp_path, "9.9 cpython")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(FileNotFoundError, match=rf"found only {path} \(no Python.h\)"):
        interpreter_from_version("9.9")


def test_another_implementation_is_not_taken(tmp_path, monkeypatch):
    make_python(tmp_path, "9.9 pypy")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(FileNotFoundError, match="or in /opt/python; install it"):
        interpreter_from_version("9.9")
