"""What the library wants to read again beside the plans, under the same rules: verified, private, atomic.

TensorRT's timing cache (how fast each kernel is on this GPU), and the kernels that TensorRT for RTX compiles
at the first run of a plan. Both only save time, so one that does not fit is left out, and the log says why.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_edge.backends.engines import storage
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.models import ModelError
from fer_edge.records import decode

TIMING = "timing.cache"
# NAME.kernels lies beside NAME.plan.
KERNELS = ".kernels"
SUFFIXES = (".cache", KERNELS)
FORMAT = 1
_logger = logging.getLogger("fer_edge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """What a blob depends on. `plan_sha256` is empty for one that serves all plans of a folder."""

    product: str
    product_version: str
    gpu: Gpu | None
    plan_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The content of BLOB.json."""

    format: int
    sha256: str
    maker: Maker


def read(path: Path, maker: Maker) -> bytes | None:
    """Returns a blob; None if it is missing, damaged, or of another product, GPU or plan.

    Raises:
        ModelError: others can write into its folder.
    """
    if not path.exists():
        return None
    storage.require_private(path.parent)
    try:
        data, record = verified(path)
    except (OSError, ModelError) as error:
        _logger.warning("%s is left out: %s", path, error)
        return None
    if record.maker != maker:
        _logger.info("%s is left out: wanted one of %s, found %s", path, maker, record.maker)
        return None
    return data


def write(path: Path, data: bytes, maker: Maker) -> None:
    """Stores a blob; the caller holds the folder's lock. Raises ModelError if it cannot be written."""
    record = Record(format=FORMAT, sha256=hashlib.sha256(data).hexdigest(), maker=maker)
    sidecar = _sidecar(path)
    storage.delete(sidecar)
    storage.write(path, data)
    storage.write(sidecar, (json.dumps(asdict(record), indent=1) + "\n").encode())


def verified(path: Path) -> tuple[bytes, Record]:
    """Reads a blob and its record; raises ModelError or OSError if they are not as they were written."""
    data = storage.read_private(path)
    try:
        record: Record = decode(Record, json.loads(storage.read_private(_sidecar(path))), _sidecar(path).name)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{_sidecar(path)} is no JSON ({error})") from error
    if record.format != FORMAT:
        raise ModelError(f"{_sidecar(path)}: format must be {FORMAT}, got {record.format}")
    if (found := hashlib.sha256(data).hexdigest()) != record.sha256:
        raise ModelError(f"sha256: wanted {record.sha256:.16}..., found {found:.16}...")
    return data, record


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
