"""Judges an expression model: ``python -m training.evaluate MODEL runs/ferplus --out runs/nano/evaluation``.

MODEL is a checkpoint of training.train or an ONNX file. The temperature is fitted on the validation split;
the test split is scored once, single images, no test-time tricks. Writes metrics.json, report.md,
confusion.png and reliability.png.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from training import expression_metrics as metrics
from training.crops import MEAN, SCALE, crop_matrices, sample
from training.evaluation_pictures import draw_confusion, draw_reliability
from training.ferplus import LABELS, Split, load_prepared
from training.models.tkfnet_nano import SIZE, TkfNetNano
from training.run import load_checkpoint

# Network input float32 [n, 1, S, S] -> logits [n, C].
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def network_from_file(path: Path) -> Network:
    """Opens a checkpoint (the averaged weights) or an ONNX file; raises ValueError for another ending."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"input": x})[0]
    if path.suffix != ".pt":
        raise ValueError(f"model must be a .pt checkpoint or an .onnx file, got {path}")
    model = TkfNetNano()
    model.load_state_dict(load_checkpoint(path)["ema"])
    model.eval()
    return lambda x: model(torch.from_numpy(x)).detach().numpy()


def inputs_from_split(split: Split, aligned: bool = True, mirrored: bool = False) -> NDArray[np.float32]:
    """The runtime's crops of a split as network inputs."""
    matrices = torch.from_numpy(crop_matrices(split, SIZE, aligned))
    luma = sample(torch.from_numpy(split.images), matrices, SIZE)
    x = ((luma - MEAN) * SCALE).numpy()
    return np.ascontiguousarray(x[..., ::-1]) if mirrored else x


def logits_from_inputs(network: Network, x: NDArray[np.float32], batch: int = 256) -> NDArray[np.float64]:
    return np.concatenate([network(x[k : k + batch]) for k in range(0, len(x), batch)]).astype(np.float64)


def protocol(
    network: Network, x: NDArray[np.float32], labels: NDArray[np.int64], rows: int = 512
) -> dict[str, float]:
    """Rule 1: an image's logits alone, in a mixed batch and in a batch of one class; accuracy sorted and
    shuffled.
    """
    order = np.random.default_rng(0).permutation(len(x))[:rows]
    mixed = logits_from_inputs(network, x[order])
    alone = logits_from_inputs(network, x[order], batch=1)
    of_class = np.empty_like(mixed)
    for label in np.unique(labels[order]):
        members = labels[order] == label
        of_class[members] = logits_from_inputs(network, x[order][members])
    hits = [(logits.argmax(1) == labels[order]).mean() for logits in (mixed, of_class)]
    return {
        "alone_against_mixed": float(np.abs(alone - mixed).max()),
        "one_class_against_mixed": float(np.abs(of_class - mixed).max()),
        "accuracy_sorted_minus_shuffled": float(hits[1] - hits[0]),
    }


def judge(network: Network, valid: Split, test: Split) -> dict[str, object]:
    """All figures of one model."""
    temperature = metrics.fitted_temperature(
        logits_from_inputs(network, inputs_from_split(valid)), valid.labels
    )
    x = inputs_from_split(test)
    logits = logits_from_inputs(network, x)
    probabilities = metrics.softmax(logits, temperature)
    counts = metrics.confusion(probabilities, test.labels)
    accuracy, balanced, recall = metrics.accuracies(counts)
    right = probabilities.argmax(1) == test.labels
    mirrored = logits_from_inputs(network, inputs_from_split(test, mirrored=True)).argmax(1)
    whole = logits_from_inputs(network, inputs_from_split(test, aligned=False)).argmax(1)
    fer2013 = probabilities.argmax(1)
    return {
        "rows": len(test),
        "accuracy": accuracy,
        "accuracy_95": metrics.bootstrap_interval(right),
        "balanced_accuracy": balanced,
        "recall": dict(zip(LABELS, recall.tolist(), strict=True)),
        "counts": dict(zip(LABELS, counts.sum(1).tolist(), strict=True)),
        "temperature": temperature,
        "calibration_error_before": metrics.calibration_error(metrics.softmax(logits), test.labels),
        "calibration_error": metrics.calibration_error(probabilities, test.labels),
        "vote_share_error": float(np.abs(probabilities - test.votes).mean()),
        "accuracy_on_fer2013_labels": float((fer2013 == test.fer2013).mean()),
        "mirror_agreement": float((mirrored == logits.argmax(1)).mean()),
        "accuracy_unaligned": float((whole == test.labels).mean()),
        "aligned_share": float(test.found.mean()),
        "confusion": counts.tolist(),
        "reliability": metrics.reliability(probabilities, test.labels),
        "protocol": protocol(network, x, test.labels),
    }


def report(model: str, result: dict[str, object]) -> str:
    """The figures as a Markdown page."""
    plain = {k: v for k, v in result.items() if isinstance(v, int | float)}
    lines = [f"# {model} on the FER+ test split", "", "| measure | value |", "| --- | --- |"]
    lines += [f"| {name} | {value:.4g} |" for name, value in plain.items()]
    low, high = result["accuracy_95"]  # type: ignore[misc]
    lines += [f"| accuracy, 95 % interval | {low:.4f} to {high:.4f} |", ""]
    lines += ["| expression | rows | recall |", "| --- | --- | --- |"]
    counts, recall = result["counts"], result["recall"]
    lines += [f"| {name} | {counts[name]} | {recall[name]:.3f} |" for name in LABELS]  # type: ignore[index]
    lines += ["", "| protocol | value |", "| --- | --- |"]
    lines += [f"| {name} | {value:.2g} |" for name, value in result["protocol"].items()]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="checkpoint (.pt) or ONNX file")
    parser.add_argument("data", type=Path, help="folder that training.prepare_ferplus wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    valid, test = load_prepared(args.data, "valid"), load_prepared(args.data, "test")
    result = judge(network_from_file(args.model), valid, test)
    shipped = ("accuracy", "balanced_accuracy", "calibration_error", "accuracy_on_fer2013_labels")
    figures = {k: round(float(result[k]), 4) for k in shipped}  # type: ignore[arg-type]
    result["spec"] = {"temperature": round(float(result["temperature"]), 4), "metrics": figures}  # type: ignore[arg-type]
    (args.out / "metrics.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    text = report(args.model.name, result)
    (args.out / "report.md").write_text(text, encoding="utf-8")
    draw_confusion(np.array(result["confusion"]), LABELS, args.out / "confusion.png")
    draw_reliability(result["reliability"], args.out / "reliability.png")  # type: ignore[arg-type]
    print(text)


if __name__ == "__main__":
    main()
