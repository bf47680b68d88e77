"""The certificate of two files of one network."""

import json
from pathlib import Path

import numpy as np
import pytest

from export import compare
from export.certificates.differences import Differences
from export.certificates.latency import PairedTimes, time_in_pairs
from fer_edge import models


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
    assert content["should_replace"] in (True, False)


@pytest.mark.parametrize(
    ("after", "ratios", "expected"),
    [
        (0.800, (0.5, 0.6), True),
        (0.796, (0.5, 0.6), True),
        (0.794, (0.5, 0.6), False),
        (0.800, (0.5, 1.01), False),
        (0.900, (1.2, 0.6), False),
    ],
)
def test_a_file_replaces_another_when_faster_and_as_accurate(
    after: float, ratios: tuple[float, float], expected: bool
):
    measured = Differences(100, 0.1, 0.01, 0.0, 0.8, after)
    timed = [
        PairedTimes(n, 20, 1.0, r, r - 0.1, r - 0.2, r) for n, r in zip(compare.BATCHES, ratios, strict=True)
    ]
    assert compare.should_replace(measured, timed) is expected


def test_a_file_that_withholds_other_faces_replaces_none():
    timed = [PairedTimes(n, 20, 1.0, 0.5, 0.5, 0.5, 0.5) for n in compare.BATCHES]
    verdicts = [
        compare.should_replace(
            Differences(100, 0.1, 0.01, 0.0, 0.8, 0.8, largest_check_difference=difference), timed
        )
        for difference in (None, 0.3, 0.9)
    ]
    assert verdicts == [True, True, False]


def test_pairs_run_both_files_and_order_their_quartiles(nano_file: Path):
    file, x = nano_file.read_bytes(), np.zeros((2, 1, 64, 64), np.float32)
    pairs = time_in_pairs(file, file, x, 6)
    assert (pairs.batch, pairs.pairs) == (2, 6)
    assert 0 < pairs.ratio_25 <= pairs.ratio <= pairs.ratio_75
    assert min(pairs.first_ms, pairs.second_ms) > 0


def test_another_network_is_refused(nano_file: Path, faces: Path, expression_file: Path, command, capsys):
    with pytest.raises(SystemExit):
        command(compare.main, nano_file, expression_file, "--data", faces)
    assert "must have the size of" in capsys.readouterr().err
