"""Which values the fields of a model's spec may have."""

from collections.abc import Callable
from typing import Any


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_temperature(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1e-9 <= value <= 1e9


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_point(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_number(v) and 0 <= v <= 1 for v in value)


# field -> (test of a valid value, the same as text). The ranges of numbers are those in which float32 holds
# what is computed with them.
CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a non-empty string"),
    "role": (lambda v: v in ("detector", "expression"), '"detector" or "expression"'),
    "version": (_is_text, "a non-empty string"),
    "size": (lambda v: type(v) is int and (v == 0 or 8 <= v <= 1024), "a whole number from 8 to 1024"),
    # The coarsest stride of a detector is 32; windows of a large input (detection.tiles) hold two multiples.
    "input_multiple": (
        lambda v: type(v) is int and v in range(0, 641, 32),
        "a multiple of 32 from 32 to 640",
    ),
    "mean": (lambda v: _is_number(v) and abs(v) <= 1e6, "a number from -1e6 to 1e6"),
    "scale": (lambda v: _is_number(v) and 1e-9 <= abs(v) <= 1e9, "a number from 1e-9 to 1e9, or negative"),
    "labels": (
        lambda v: isinstance(v, tuple) and len(v) > 0 and all(map(_is_text, v)) and len(set(v)) == len(v),
        "a list of different non-empty strings",
    ),
    "temperature": (_is_temperature, "a number from 1e-9 to 1e9"),
    "confidence_temperature": (
        lambda v: v is None or _is_temperature(v),
        "null or a number from 1e-9 to 1e9",
    ),
    "threshold": (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to below 1"),
    "min_confidence": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 to 1"),
    "max_covered": (lambda v: v is None or (_is_number(v) and 0 <= v <= 1), "null or a number from 0 to 1"),
    "max_rolled": (lambda v: v is None or (_is_number(v) and 0 <= v <= 1), "null or a number from 0 to 1"),
    "template": (lambda v: isinstance(v, tuple) and all(map(_is_point, v)), "a list of [x, y] within [0, 1]"),
    "licence": (_is_text, "a non-empty string"),
    "source": (_is_text, "a non-empty string"),
    "metrics": (
        lambda v: isinstance(v, dict) and all(map(_is_text, v)) and all(map(_is_number, v.values())),
        "a mapping from name to finite number",
    ),
}
