"""The spec of a model file, the models embedded in the package, and the checks of both.

The spec is stored inside the ONNX file (metadata entry `fer_edge`, JSON). So a model is one file and cannot
be used with the wrong settings, and a user's own network needs only its path, no code.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from fer_edge.installation.repair_commands import RESTORE
from fer_edge.onnx_file import facts_from_onnx
from fer_edge.spec_checks import CHECKS

METADATA_KEY = "fer_edge"
WEIGHTS = Path(__file__).parent / "weights"
Role = Literal["detector", "expression"]


class ModelError(RuntimeError):
    """A model is missing, corrupt, or used for the wrong role; the message says how to fix it."""


# Fields of one role; for the other role they must be 0.
_FIELD_ROLES: dict[str, Role] = {"size": "expression", "input_multiple": "detector", "threshold": "detector"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """How to prepare the input of a network and how to read its output. Raises ModelError for invalid fields.

    Attributes:
        size: expression: side of the square input in pixels; detector: 0.
        input_multiple: detector: both sides of its input are multiples of this number of pixels, itself a
            multiple of 32, the coarsest stride; expression: 0.
        mean: network input = (luma - mean) * scale, luma in [0, 255].
        scale: see mean.
        labels: expression: one name per logit; detector: ("face",).
        temperature: the logits are divided by it before softmax, for the probabilities (the share of people
            who would name each expression).
        confidence_temperature: the same for the confidence (how often the label is right); None: use
            `temperature`.
        threshold: detector: minimum score of a face.
        min_confidence: expression: below this confidence the label should not be trusted. In the embedded
            models, 90 % of the labels of the validation split with at least this confidence are right.
        max_covered: expression: the network has a crop check, a second output [N, 2] with the logits of
            "mouth or both eyes are covered" and "not upright"; above this probability of the first the label
            should not be trusted. None: no crop check. In the embedded models, 1 % of the untouched faces
            of the validation splits are above it.
        max_rolled: the same for the second (0.5 %); given if and only if `max_covered` is.
        template: expression: positions of the five landmarks (right eye, left eye, nose tip, right and left
            mouth corner; right and left from the person's view) in the crop, as fractions of its side;
            detector: empty.
        licence: licence of the weights.
        source: training data and paper, in one line.
        metrics: name -> value, measured on held-out data.
    """

    name: str
    role: Role
    version: str = "0"
    size: int = 0
    input_multiple: int = 0
    mean: float
    scale: float
    labels: tuple[str, ...]
    temperature: float = 1.0
    confidence_temperature: float | None = None
    threshold: float = 0.0
    min_confidence: float = 0.5
    max_covered: float | None = None
    max_rolled: float | None = None
    template: tuple[tuple[float, float], ...] = ()
    licence: str = "not stated"
    source: str = "not stated"
    metrics: dict[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # Lists are accepted in place of tuples.
        object.__setattr__(self, "labels", _tuple_from_list(self.labels))
        object.__setattr__(self, "template", _tuple_from_list(self.template))
        for name, (is_valid, expected) in CHECKS.items():
            value = getattr(self, name)
            if not is_valid(value):
                raise ModelError(f"model spec: {name} must be {expected}, got {value!r}")
        for name, role in _FIELD_ROLES.items():
            if role == self.role and not getattr(self, name):
                raise ModelError(f"model spec: {name} must be above 0 for role {role!r}, got 0")
            if role != self.role and getattr(self, name):
                raise ModelError(
                    f"model spec: {name} is only for role {role!r}, got {getattr(self, name)!r} "
                    f"for role {self.role!r}; leave it out"
                )
        if (self.max_covered is None) != (self.max_rolled is None) or (
            self.role == "detector" and self.max_covered is not None
        ):
            raise ModelError(
                "model spec: max_covered and max_rolled must be given both, for an expression network with a "
                f"crop check, or not at all, got {self.max_covered!r} and {self.max_rolled!r}"
            )
        points = 5 if self.role == "expression" else 0
        if len(self.template) != points:
            raise ModelError(
                f"model spec: template must have {points} points for role {self.role!r}, "
                f"got {len(self.template)}"
            )

    def to_json(self) -> str:
        """Returns the text of the ONNX metadata entry with the key `fer_edge`."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @property
    def has_crop_check(self) -> bool:
        """Whether the network has a second output, see `max_covered`."""
        return self.max_covered is not None

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Reads the text from to_json; raises ModelError with the field, the expected and the given value."""
        try:
            values = json.loads(text)
        # ValueError also for a number of thousands of digits, RecursionError for as many brackets.
        except (ValueError, RecursionError) as error:
            raise ModelError(f"model spec: expected JSON, got {text[:60]!r} ({error})") from error
        if not isinstance(values, dict):
            raise ModelError(f"model spec: expected a JSON object, got {type(values).__name__}")
        names = {f.name for f in fields(cls)}
        if unknown := sorted(values.keys() - names):
            raise ModelError(
                f"model spec: unknown field {unknown[0]!r}; the fields are {', '.join(sorted(names))}"
            )
        required = {"name", "role", "mean", "scale", "labels"}
        if missing := sorted(required - values.keys()):
            raise ModelError(
                f"model spec: field {missing[0]!r} is missing; required are {', '.join(sorted(required))}"
            )
        return cls(**{name: _tuple_from_list(value) for name, value in values.items()})


def _tuple_from_list(value: Any) -> Any:
    return tuple(map(_tuple_from_list, value)) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk: its spec and the properties that identify it.

    Attributes:
        sha256: of the file.
        graph_sha256: of the network alone, which stays the same when only the spec changes.
        size_bytes: of the file.
        parameters: numbers in the file's weights.
        precision: the type that most weights are stored in.
    """

    spec: ModelSpec
    path: Path
    sha256: str
    graph_sha256: str
    size_bytes: int
    parameters: int
    precision: str

    def identity(self) -> dict[str, str]:
        """Returns what a result should be reported with: name, version, precision and hash."""
        spec = self.spec
        return {
            "name": spec.name,
            "version": spec.version,
            "precision": self.precision,
            "sha256": self.sha256,
        }


def embedded() -> tuple[str, ...]:
    """Returns the names of the models embedded in the package."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.onnx")))


def absolute(name: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Returns a name of an embedded model as it is, and a path as one that os.chdir does not change."""
    return name if name in embedded() else Path(name).absolute()


def read(path: str | os.PathLike[str]) -> ModelFile:
    """Reads spec and properties of an ONNX file; raises ModelError if it is missing, corrupt or has none."""
    path = Path(path)
    try:
        data = path.read_bytes()
        facts = facts_from_onnx(data)
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"model {path} {error}; copy or download it again") from error
    if facts.is_split:
        raise ModelError(
            f"model {path} keeps weights in another file, but a model must be one file; save it again: "
            "onnx.save(onnx.load(path), path)"
        )
    if METADATA_KEY not in facts.metadata:
        raise ModelError(_how_to_add_metadata(path))
    try:
        spec = ModelSpec.from_json(facts.metadata[METADATA_KEY])
    except ModelError as error:
        raise ModelError(f"model {path}: {error}") from error
    return ModelFile(
        spec,
        path,
        hashlib.sha256(data).hexdigest(),
        facts.graph_sha256,
        len(data),
        facts.parameters,
        facts.precision,
    )


def path_of(name: str | os.PathLike[str]) -> Path:
    """Returns the file of an embedded model, or the given path; raises ModelError if it is missing."""
    path = WEIGHTS / f"{name}.onnx" if name in embedded() else Path(name)
    if not path.exists():
        names = ", ".join(embedded()) or f"none are installed: {RESTORE}"
        raise ModelError(f"model {os.fspath(name)!r} is no file, nor an embedded model ({names})")
    return path


def load(name: str | os.PathLike[str], role: Role) -> ModelFile:
    """Loads a model by its embedded name or its path and checks its role."""
    if not isinstance(name, str | os.PathLike):
        setting = "model" if role == "expression" else role
        raise TypeError(f"{setting} must be the name of a model or a path, got {name!r}")
    model = read(path_of(name))
    if model.spec.role != role:
        keyword = {"detector": "detector", "expression": "model"}
        raise ModelError(
            f"model {os.fspath(name)!r} has the role {model.spec.role!r}, expected {role!r}; "
            f"it belongs to Recognizer({keyword[model.spec.role]}=...)"
        )
    return model


def _how_to_add_metadata(path: Path) -> str:
    return (
        f"model {path} has no metadata entry {METADATA_KEY!r} with its spec; add it once:\n"
        "  m, spec = onnx.load(path), fer_edge.models.ModelSpec(name=..., role=..., mean=..., "
        "scale=..., labels=(...), and for an expression network size=..., template=(...), for a face "
        "detector input_multiple=..., threshold=...)\n"
        f"  m.metadata_props.add(key={METADATA_KEY!r}, value=spec.to_json())\n"
        "  onnx.save(m, path)"
    )
