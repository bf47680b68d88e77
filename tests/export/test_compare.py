"""The certificate of two files of one network."""

import json
from pathlib import Path

import pytest

from export import compare
from fer_edge import models

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_a_file_beside_itself_differs_in_nothing(
    nano_file: Path, faces: Path, tmp_path: Path, command, monkeypatch
):
    monkeypatch.setattr(compare, "PAIRS", 3)
    path = tmp_path / "certificate.json"
    command(compare.main, nano_file, nano_file, "--data", faces, "--certificate", path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["largest_difference"] == content["changed_labels"] == 0
    graph = models.read(nano_file).graph_sha256
    assert content["graph_sha256_before"] == content["graph_sha256_after"] == graph
    assert [row["batch"] for row in content["latency"]] == [1, 8]
    assert content["context"]["cores"] >= 1


def test_another_network_is_refused(nano_file: Path, faces: Path, expression_file: Path, command, capsys):
    with pytest.raises(SystemExit):
        command(compare.main, nano_file, expression_file, "--data", faces)
    assert "must have the size and the labels of" in capsys.readouterr().err
