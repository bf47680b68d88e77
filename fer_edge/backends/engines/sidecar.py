"""The record beside a plan, NAME.json: what the plan is, what it was built from, and its hash.

The plan itself stays as the builder wrote it, so that trtexec and DeepStream can read it.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass

import fer_edge
from fer_edge.backends.engines.key import Key
from fer_edge.models import ModelError
from fer_edge.records import decode

FORMAT = 1
_NUMBERS = re.compile(r"\[[-\d,\s]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """An input or output of an engine; -1 in the shape is a side that varies."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the builder says of a plan.

    Attributes:
        inputs: of the engine.
        outputs: of the engine.
        precisions: precision -> number of layers with weights that compute in it.
        inspected: whether the precisions were also read off the finished engine, which needs a GPU.
        seconds: that the build took.
    """

    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    precisions: dict[str, int]
    inspected: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The content of NAME.json. `sha256` and `size` (bytes) are the plan's."""

    format: int
    fer_edge: str
    sha256: str
    size: int
    key: Key
    built: Built

    def to_json(self) -> str:
        """The text of the file."""
        text = json.dumps(asdict(self), indent=1, allow_nan=False)
        # A shape is one line.
        return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Sidecar":
        """Reads the text from `to_json`; raises ModelError with the entry and the expected value."""
        try:
            values = json.loads(text)
        # RecursionError: thousands of brackets.
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{where}: expected JSON, got {text[:40]!r} ({error})") from error
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise ModelError(f"{where}: format must be {FORMAT}, got {values.get('format')!r}")
        sidecar: Sidecar = decode(cls, values, where)
        return sidecar


def sidecar_for(plan: bytes, key: Key, built: Built) -> Sidecar:
    """The record of a plan that was just built."""
    return Sidecar(
        format=FORMAT,
        fer_edge=fer_edge.__version__,
        sha256=hashlib.sha256(plan).hexdigest(),
        size=len(plan),
        key=key,
        built=built,
    )
