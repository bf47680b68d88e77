"""Mean and deviation over seeds, for runs with and without an evaluation."""

import json
from pathlib import Path

import pytest

from training.summarise import cell, metrics_of_run, summary_of_runs


def run(folder: Path, accuracy: float, sha256: str, **others: object) -> Path:
    folder.mkdir(parents=True)
    result = {"accuracy": accuracy, "context": {"model": {"sha256": sha256}}, **others}
    (folder / "metrics.json").write_text(json.dumps(result), encoding="utf-8")
    return folder


def test_mean_and_deviation_of_a_sample(tmp_path: Path):
    folders = [
        run(tmp_path / str(k), a, str(k), calibration_error=0.01) for k, a in enumerate((0.8, 0.82, 0.84))
    ]
    summary = summary_of_runs(folders)
    assert summary["accuracy"] == (pytest.approx(0.82), pytest.approx(0.02))
    assert cell("accuracy", *summary["accuracy"]) == "82.00 ± 2.00 %"
    assert cell("calibration_error", *summary["calibration_error"]) == "0.0100 ± 0.0000"
    assert cell("accuracy", *summary_of_runs(folders[:1])["accuracy"]) == "80.00 %"


def test_a_measure_that_one_run_lacks_is_left_out(tmp_path: Path):
    one = run(tmp_path / "one", 0.8, "1", balanced_accuracy=0.6)
    other = run(tmp_path / "other", 0.8, "2", balanced_accuracy=None)
    assert list(summary_of_runs([one, other])) == ["accuracy"]


def test_runs_without_an_evaluation_count_by_their_last_epoch(tmp_path: Path):
    lines = [json.dumps({"epoch": k, "valid_accuracy": 0.7 + k / 100}) for k in range(3)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert metrics_of_run(tmp_path)[0] == {"valid_accuracy": 0.72}
    run(tmp_path / "evaluation", 0.75, "1")
    assert metrics_of_run(tmp_path)[0] == {"accuracy": 0.75}


def test_runs_that_cannot_be_averaged_are_refused(tmp_path: Path):
    one = run(tmp_path / "one", 0.8, "1")
    with pytest.raises(ValueError, match="got the same one"):
        summary_of_runs([one, run(tmp_path / "again", 0.8, "1")])
    with pytest.raises(FileNotFoundError, match=r"must hold metrics\.json or log\.jsonl"):
        summary_of_runs([tmp_path])
    log = tmp_path / "log.jsonl"
    log.write_text('{"valid_accuracy": 0.7}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="runs must share a measure"):
        summary_of_runs([one, tmp_path])
