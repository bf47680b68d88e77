"""The documents agree with the files that their figures come from."""

import json
from pathlib import Path

import pytest

from benchmarks.documents import BLOCK, DOCUMENTS, ROOT, with_figures
from benchmarks.figures import model_card
from fer_edge import Recognizer, models

MODELS = ROOT / "docs" / "models"


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _graph_sha256(name: str) -> str:
    return models.read(models.WEIGHTS / name).graph_sha256


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_shows_the_figures_of_its_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert with_figures(text, DOCUMENTS[name]) == text, "run python -m benchmarks.documents"


def test_a_changed_figure_is_noticed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        figure = next(c for c in match["content"] if c.isdigit())
        at = text.index(match["content"]) + match["content"].index(figure)
        changed = text[:at] + ("8" if figure != "8" else "9") + text[at + 1 :]
        assert with_figures(changed, DOCUMENTS["README.md"]) == text


def test_a_missing_or_unknown_block_is_named() -> None:
    with pytest.raises(ValueError, match="blocks must be b, each once, got a"):
        with_figures("<!-- figures: a -->\n<!-- end of figures -->\n", {"b": lambda: "1"})


def test_every_block_belongs_to_a_document_of_the_table() -> None:
    found = [path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]]
    assert {name for name in found if BLOCK.search((ROOT / name).read_text(encoding="utf-8"))} == set(
        DOCUMENTS
    )


def test_the_card_names_each_file_beside_its_temperatures() -> None:
    rows = [line for line in model_card.temperatures().splitlines() if line.startswith("| `")]
    for name, row in zip(("tkfnet-nano", "tkfnet-nano-float32"), rows, strict=True):
        spec = models.load(name, "expression").spec
        assert row.startswith(f"| `{name}` | {spec.temperature:.4f} | {spec.confidence_temperature:.4f} |")


def test_the_docstring_of_recognizer_has_the_measured_shares() -> None:
    measured = _json(MODELS / "metrics" / "face-luma-search.json")
    assert measured["graph_sha256"] == _graph_sha256("face-luma.onnx")
    coarse, fine = measured["searches"]["20"], measured["searches"]["80"]
    text = " ".join((Recognizer.__doc__ or "").split())
    for search in (coarse, fine):
        assert f"finds {search['recall_5_10']:.0%}".replace("%", " %") in text
        assert f"{search['recall_2.5_5']:.0%}".replace("%", " %") in text
    assert f"in {fine['milliseconds'] / coarse['milliseconds']:.0f} times the time" in text


def test_the_shipped_specs_contain_the_measured_values() -> None:
    metrics = _json(MODELS / "metrics" / "tkfnet-nano.json")
    assert [file["file"] for file in metrics["files"]] == ["tkfnet-nano.onnx", "tkfnet-nano-float32.onnx"]
    assert metrics["context"]["model"]["graph_sha256"] == metrics["files"][0]["graph_sha256"]
    for file in metrics["files"]:
        model = models.read(models.WEIGHTS / file["file"])
        # Not the hash of the file, which changes when the figures are written into the spec.
        assert file["graph_sha256"] == model.graph_sha256
        measured = file["spec"]
        for name in ("temperature", "confidence_temperature", "min_confidence", "metrics"):
            assert getattr(model.spec, name) == measured[name], (model.spec.name, name)


def test_the_detectors_spec_contains_the_measured_values() -> None:
    metrics = _json(MODELS / "metrics" / "face-luma.json")
    model = models.read(models.WEIGHTS / "face-luma.onnx")
    assert metrics["graph_sha256"] == model.graph_sha256
    assert (model.spec.threshold, model.spec.metrics) == (
        metrics["spec"]["threshold"],
        metrics["spec"]["metrics"],
    )


@pytest.mark.parametrize(
    ("certificate", "graphs"),
    [
        ("face-luma.parity.json", {"graph_sha256": "face-luma.onnx"}),
        ("tkfnet-nano.parity.json", {"graph_sha256": "tkfnet-nano-float32.onnx"}),
        (
            "tkfnet-nano-int8.json",
            {"graph_sha256_before": "tkfnet-nano-float32.onnx", "graph_sha256_after": "tkfnet-nano.onnx"},
        ),
    ],
)
def test_a_certificate_names_shipped_graphs(certificate: str, graphs: dict[str, str]) -> None:
    content = _json(MODELS / certificate)
    assert {name: content[name] for name in graphs} == {
        name: _graph_sha256(file) for name, file in graphs.items()
    }


def test_the_exports_are_of_shipped_models() -> None:
    shipped = {path.stem: _graph_sha256(path.name) for path in models.WEIGHTS.glob("*.onnx")}
    certificates = [_json(path) for path in (MODELS / "exports").glob("*.json")]
    references = {c["model"]: c["reference_graph_sha256"] for c in certificates}
    assert references["tkfnet-nano"] == shipped["tkfnet-nano-float32"], "run python -m benchmarks.exports"
    assert references["face-luma"] == shipped["face-luma"], "run python -m benchmarks.exports"
    for c in certificates:
        assert c["changed_labels"] <= c["limits"]["changed_labels"], (c["model"], c["precision"])


def test_the_certificates_on_openvino_are_of_shipped_models_and_within_their_limits() -> None:
    shipped = {_graph_sha256(path.name): path.stem for path in models.WEIGHTS.glob("*.onnx")}
    certificates = {path.stem: _json(path) for path in (MODELS / "openvino").glob("*.json")}
    assert set(certificates) == set(shipped.values())
    for name, c in certificates.items():
        assert (shipped[c["graph_sha256"]], c["backend"]) == (name, "openvino")
        assert c["changed_labels"] <= c["limits"]["changed_labels"]


def test_results_come_from_committed_trees() -> None:
    folders = (
        ROOT / "benchmarks" / "results",
        MODELS,
        MODELS / "metrics",
        MODELS / "exports",
        MODELS / "openvino",
    )
    paths = [path for folder in folders for path in folder.glob("*.json")]
    commits = {path.name: str(_json(path).get("context", {}).get("commit", "")) for path in paths}
    assert not [name for name, commit in commits.items() if "dirty" in commit]
