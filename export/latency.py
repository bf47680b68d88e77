"""Two files' latency, measured in turns: whatever else the machine does falls on both alike."""

import time
from dataclasses import asdict, dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

WARMUP = 5
THREADS = 1  # the runtime's default


@dataclass(frozen=True, slots=True)
class Pairs:
    """Median of each in ms, and the quartiles of second / first over the pairs."""

    batch: int
    pairs: int
    first_ms: float
    second_ms: float
    ratio: float
    ratio_25: float
    ratio_75: float

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def session(file: bytes) -> onnxruntime.InferenceSession:
    """One thread and no spinning, as the runtime has it (fer_edge.backends.ort)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def measured_in_pairs(first: bytes, second: bytes, x: NDArray[np.float32], pairs: int) -> Pairs:
    """Runs both files on x, ``pairs`` times each; who goes first alternates."""
    sessions = session(first), session(second)
    seconds = np.zeros((pairs, 2))
    for k in range(-WARMUP, pairs):
        for which in (0, 1) if k % 2 else (1, 0):
            started = time.perf_counter()
            sessions[which].run(None, {"input": x})
            if k >= 0:
                seconds[k, which] = time.perf_counter() - started
    ratios = seconds[:, 1] / seconds[:, 0]
    low, middle, high = (float(q) for q in np.percentile(ratios, (25, 50, 75)))
    first_ms, second_ms = (float(ms) for ms in 1000 * np.median(seconds, axis=0))
    return Pairs(len(x), pairs, first_ms, second_ms, middle, low, high)
