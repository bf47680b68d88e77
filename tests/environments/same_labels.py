"""Compares what two machines say of the same picture, as picture_labels writes it.

    python -m tests.environments.same_labels HERE THERE

Each computes float32 in its own order, so that sums differ in the last bits. The int8 network rounds its
activations to 255 steps, and where a sum lies between two steps, the last bits decide: its limit is wider. A
label may differ only where the two best probabilities are closer than the limit.
"""

import json
import sys
from pathlib import Path
from typing import Any

BOX_LIMIT_PX = 0.01
PROBABILITY_LIMITS = {"tkfnet-nano": 0.01, "tkfnet-nano-float32": 1e-4}


def main() -> None:
    here, there = (json.loads(Path(path).read_text()) for path in sys.argv[1:3])
    assert here["faces"].keys() == there["faces"].keys()
    wrong = 0
    for name, faces in here["faces"].items():
        pairs = list(zip(faces, there["faces"][name], strict=True))
        limit = PROBABILITY_LIMITS[name.partition(",")[0]]
        box = max(_box(*pair) for pair in pairs)
        probability = max(_probability(*pair) for pair in pairs)
        different = sum(_label_differs(mine, other, limit) for mine, other in pairs)
        bad = box > BOX_LIMIT_PX or probability > limit or different
        wrong += bool(bad)
        print(
            f"{'differs' if bad else 'same':8}{name}: {len(pairs)} labels, {different} different; "
            f"probabilities within {probability:.1e} (limit {limit:g}), "
            f"boxes within {box:.1e} px (limit {BOX_LIMIT_PX:g})"
        )
    print(
        f"{here['machine']} ({here['ops']}) and {there['machine']} ({there['ops']}): {wrong} of them differ"
    )
    raise SystemExit(bool(wrong))


def _box(mine: dict[str, Any], other: dict[str, Any]) -> float:
    return max(abs(a - b) for a, b in zip(mine["box"], other["box"], strict=True))


def _probability(mine: dict[str, Any], other: dict[str, Any]) -> float:
    return max(abs(value - other["probabilities"][label]) for label, value in mine["probabilities"].items())


def _label_differs(mine: dict[str, Any], other: dict[str, Any], limit: float) -> bool:
    best, second, *_ = sorted(mine["probabilities"].values(), reverse=True)
    return mine["label"] != other["label"] and best - second > limit


if __name__ == "__main__":
    main()
