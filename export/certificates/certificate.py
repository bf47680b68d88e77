"""The parity certificate: what was compared, on what, and whether the differences are within the limits."""

import hashlib
import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from export.certificates.differences import Differences
from export.certificates.networks import GRAPH, open_network
from export.certificates.pictures import Pictures
from fer_edge.benchmark.measure.context import context
from fer_edge.device.processor import has_bfloat16
from fer_edge.models import ModelSpec, Role
from fer_edge.onnx_file import facts_from_onnx

ANY = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest accepted values of `Differences`, and lost points of accuracy."""

    largest_difference: float
    changed_labels: float
    lost_points: float
    largest_check_difference: float = ANY
    mean_box_distance: float = ANY
    mean_landmark_distance: float = ANY

    def broken_by(self, measured: Differences) -> list[str]:
        """What is beyond the limits, each with its value and its limit. NaN is beyond every limit."""
        rows = (
            ("largest difference", measured.largest_difference, self.largest_difference, "{:.2g}"),
            ("changed labels", measured.changed_labels, self.changed_labels, "{:.2%}"),
            ("lost points of accuracy", measured.loss, self.lost_points, "{:.2f}"),
            (
                "difference of the crop check",
                measured.largest_check_difference,
                self.largest_check_difference,
                "{:.2g}",
            ),
            ("distance of a box", measured.mean_box_distance, self.mean_box_distance, "{:.2g} sides"),
            (
                "distance of a landmark",
                measured.mean_landmark_distance,
                self.mean_landmark_distance,
                "{:.2g} sides",
            ),
        )
        return [
            f"{name} {form.format(value)}, allowed {form.format(limit)}"
            for name, value, limit, form in rows
            if value is not None and not value <= limit
        ]


# The crop check's probabilities of the files in docs/models/exports differ by 0 (fp32), 0.003 (fp16) and 0.19
# (int8) at most; from 0.5 on, the check can say the opposite.
_INT8_EXPRESSION = Limits(
    largest_difference=ANY, changed_labels=0.015, lost_points=0.5, largest_check_difference=0.5
)
# A face with a score near the threshold is lost or new after the smallest change, and counts whole. Boxes and
# landmarks of the same 500 photographs differ by 0 (fp32), 0.0004 (fp16) and 0.013 sides (int8) on average.
_INT8_DETECTOR = Limits(
    largest_difference=ANY,
    changed_labels=0.03,
    lost_points=ANY,
    mean_box_distance=0.05,
    mean_landmark_distance=0.05,
)
LIMITS: dict[Role, dict[str, Limits]] = {
    "expression": {
        "fp32": Limits(
            largest_difference=1e-4, changed_labels=0.0, lost_points=0.0, largest_check_difference=1e-4
        ),
        "fp16": Limits(
            largest_difference=0.02, changed_labels=0.001, lost_points=0.1, largest_check_difference=0.02
        ),
        # bfloat16 has three bits less than float16: eight times its differences. 0.08 % of the labels change.
        "bf16": Limits(
            largest_difference=0.16, changed_labels=0.003, lost_points=0.1, largest_check_difference=0.16
        ),
        "int8-cpu": _INT8_EXPRESSION,
        "int8-trt": _INT8_EXPRESSION,
    },
    "detector": {
        "fp32": Limits(
            largest_difference=1e-4,
            changed_labels=0.0,
            lost_points=ANY,
            mean_box_distance=1e-4,
            mean_landmark_distance=1e-4,
        ),
        "fp16": Limits(
            largest_difference=ANY,
            changed_labels=0.005,
            lost_points=ANY,
            mean_box_distance=0.003,
            mean_landmark_distance=0.003,
        ),
        "bf16": Limits(
            largest_difference=ANY,
            changed_labels=0.005,
            lost_points=ANY,
            mean_box_distance=0.024,
            mean_landmark_distance=0.024,
        ),
        "int8-cpu": _INT8_DETECTOR,
        "int8-trt": _INT8_DETECTOR,
    },
}


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file with its precision and its flavour, and the backend that computes it."""

    path: Path
    spec: ModelSpec
    precision: str
    flavour: str
    backend: str = GRAPH

    @property
    def limits(self) -> Limits:
        """What its certificate must keep."""
        return LIMITS[self.spec.role][self.arithmetic]

    @property
    def arithmetic(self) -> str:
        """The precision of the computation: "bf16" where OpenVINO computes a float file in bfloat16."""
        is_float = self.precision in ("fp32", "fp16")
        return "bf16" if is_float and self.backend == "openvino" and has_bfloat16() else self.precision


def measure(
    artefact: Artefact, reference: Path, pictures: Pictures, engines: Path | None = None
) -> Differences:
    """Runs both files on the pictures: the reference as its graph says, the artefact on its backend.

    `engines` as for `open_network`.
    """
    with (
        closing(open_network(reference, GRAPH)) as exact,
        closing(open_network(artefact.path, artefact.backend, engines)) as measured,
    ):
        return pictures.differences(exact, measured)


def certificate(
    artefact: Artefact, reference: Path, pictures: Pictures, measured: Differences
) -> dict[str, object]:
    """Hashes, data, differences and limits, ready for JSON."""
    file, other = artefact.path.read_bytes(), reference.read_bytes()
    return {
        "model": artefact.spec.name,
        "model_version": artefact.spec.version,
        "precision": artefact.precision,
        "flavour": artefact.flavour,
        "file_sha256": hashlib.sha256(file).hexdigest(),
        "file_bytes": len(file),
        "graph_sha256": facts_from_onnx(file).graph_sha256,
        "reference_graph_sha256": facts_from_onnx(other).graph_sha256,
        "data": pictures.name,
        "data_sha256": pictures.sha256,
        **asdict(measured),
        "limits": asdict(artefact.limits),
        "backend": artefact.backend,
        "arithmetic": artefact.arithmetic,
        "context": context(),
    }


def summary(artefact: Artefact, measured: Differences) -> str:
    """One line for the terminal."""
    changed = f"{measured.changed_labels:.2%} of {measured.pictures} labels change"
    if artefact.spec.role == "detector":
        changed = (
            f"{measured.changed_labels:.2%} of the faces in {measured.pictures} photographs are lost or new"
        )
    accuracy = ""
    if measured.accuracy_before is not None and measured.accuracy_after is not None:
        accuracy = f", accuracy {measured.accuracy_before:.2%} -> {measured.accuracy_after:.2%}"
    return (
        f"{artefact.spec.name} {artefact.precision} {artefact.flavour}: {changed}, probabilities differ by "
        f"{measured.largest_difference:.1e} at most and {measured.mean_difference:.1e} on average{accuracy}"
    )


def default_path(out: Path) -> Path:
    """Where the certificate of a file is written if the user names no other path."""
    return out.with_suffix(".certificate.json")


def write(content: dict[str, object], path: Path) -> None:
    """Writes a certificate, and creates the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
