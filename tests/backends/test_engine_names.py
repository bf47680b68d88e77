"""The names of the engines of the CPU, and what happens where one is not installed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_edge import backends
from fer_edge.installation.repair_commands import install_extra


@pytest.fixture
def folder_named_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Python imports a folder without __init__.py as an empty package, so a project's own folder is found."""
    folder = tmp_path / "openvino"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for module in ("openvino", "fer_edge.backends.ov"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield folder
    sys.modules.pop("openvino", None)


def test_auto_does_not_take_a_folder_for_an_engine(
    folder_named_openvino: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "has_amx_bfloat16", lambda: True)
    assert backends.automatic() == "onnxruntime"


def test_a_folder_with_the_name_of_the_engine_is_named(folder_named_openvino: Path) -> None:
    with pytest.raises(ImportError, match="is another folder of that name") as caught:
        backends.opener_for("openvino")
    assert str(folder_named_openvino) in str(caught.value)
    assert install_extra("openvino") in str(caught.value)


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "fer_edge.backends.ov", raising=False)
    with pytest.raises(ImportError, match=re.escape(install_extra("openvino"))):
        backends.opener_for("openvino")
