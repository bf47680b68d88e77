"""A library that cannot be used is one ImportError with the reason and the command that mends it."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_installation import WORKING_CV2, Site

from fer_edge.installation import libraries


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty site-packages at the front of sys.path."""
    return Site(tmp_path / "site", monkeypatch)


def test_a_working_library_is_returned() -> None:
    assert libraries.load("cv2") is cv2
    assert libraries.load("numpy") is np


def test_the_folder_of_an_uninstalled_copy(site: Site) -> None:
    site.hide_others()
    site.add_module("cv2", {})
    site.add("opencv-python", "4.13.0.92", "cv2")
    expected = (
        f"cv2 cannot be imported ({site.folder / 'cv2'} has no cv2.imdecode); "
        "pip install --force-reinstall --no-deps opencv-python==4.13.0.92"
    )
    for _ in range(2):
        with pytest.raises(ImportError, match=f"^{re.escape(expected)}$"):
            libraries.load("cv2")


def test_a_folder_without_any_distribution(site: Site) -> None:
    site.hide_others()
    site.add_module("onnxruntime", {})
    module, reason = libraries.attempt("onnxruntime")
    assert (module, reason) == (None, f"{site.folder / 'onnxruntime'} has no onnxruntime.InferenceSession")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "libGL.so.1: cannot open"),
        ("raise AttributeError('module cv2.dnn has no attribute DictValue')", "has no attribute DictValue"),
        ("raise SystemError('initialization of _internal failed')", "initialization of _internal"),
        ("raise RuntimeError('API version 0x10')", "API version 0x10"),
        # As ONNX Runtime 1.17 beside NumPy 2.
        ("raise ImportError", "it was built for another version of NumPy"),
    ],
)
def test_whatever_a_damaged_library_raises(site: Site, code: str, reason: str) -> None:
    site.add_module("cv2", {"__init__.py": code})
    with pytest.raises(ImportError, match=rf"^cv2 cannot be imported \(.*{reason}.*\); pip install"):
        libraries.load("cv2")


@pytest.mark.parametrize("end", ["raise ImportError('numpy.core.multiarray failed to import')", WORKING_CV2])
def test_stderr_of_a_failed_import_is_left_out(
    site: Site, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add_module("cv2", {"__init__.py": f"import sys\nprint('A module', file=sys.stderr)\n{end}"})
    module, _ = libraries.attempt("cv2")
    assert capsys.readouterr().err == ("A module\n" if module else "")


def test_threads_wait_for_an_import_that_another_has_begun(site: Site) -> None:
    site.add_module("cv2", {"__init__.py": "import time\ntime.sleep(0.2)\ndef imdecode(): pass\n"})
    stderr = sys.stderr
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: libraries.attempt("cv2"), range(4)))
    assert results == [(sys.modules["cv2"], "")] * 4
    assert sys.stderr is stderr


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("onnxruntime", "import fer_edge; fer_edge.Recognizer()"),
        ("cv2", "from fer_edge.installation.import_opencv import opencv; opencv()"),
    ],
)
def test_the_public_doors_raise_it(tmp_path: Path, module: str, code: str) -> None:
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").touch()
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"{module} cannot be imported ({tmp_path / module / '__init__.py'} has no {module}." in last
    assert "; pip install " in last


def test_onnx_runtime_keeps_no_statistics_of_use(tmp_path: Path) -> None:
    # Release 1.32 writes into the user's cache folder as soon as it is imported.
    unset = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    script = "from fer_edge.installation import libraries; libraries.load('onnxruntime')"
    subprocess.run([sys.executable, "-c", script], env=variables | {"HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
