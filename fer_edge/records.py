"""Reads records from JSON, strictly: every field is there, is known and has its annotated type.

The files beside ahead-of-time kernels and engines are read this way, because native code is loaded on their
word.
"""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fer_edge.models import ModelError


def decode(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as the annotated type: dataclass, tuple, dict, Literal, union or scalar."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        hints, names = get_type_hints(kind), [field.name for field in fields(kind)]
        if set(names) != value.keys():
            raise ModelError(f"{where}: fields must be {', '.join(names)}, got {', '.join(map(str, value))}")
        record: Any = kind
        return record(**{name: decode(hints[name], value[name], f"{where}: {name}") for name in names})
    if origin is tuple and isinstance(value, list):
        return tuple(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: decode(arguments[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if origin is UnionType:
        for member in arguments:
            # type() is compared because isinstance takes a bool for an int; a JSON object is a dataclass.
            if type(value) is (dict if is_dataclass(member) else member):
                return decode(member, value, where)
    if type(value) is kind:
        return value
    raise ModelError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {value!r:.60}")
