"""A finding of `fer-edge doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` is the command that solves a problem.

    With "slow" and "absent" everything works but what the detail says. "double" works here as well, but one
    distribution has overwritten files of another.
    """

    name: str
    state: Literal["ok", "slow", "absent", "double", "missing", "broken"]
    detail: str
    fix: str = ""
