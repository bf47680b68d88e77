"""Tables in Markdown."""

from collections.abc import Mapping, Sequence


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A line for each row, with columns named by the keys of the first row; numbers have four digits, None is
    a dash. Empty without rows.
    """
    if not rows:
        return ""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    lines += ["| " + " | ".join(text(row.get(name)) for name in head) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def text(value: object) -> str:
    """A value as the text of a cell."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return " to ".join(map(text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """A share in per cent, with its interval where there is one."""
    if value is None:
        return "-"
    if interval is None or interval[0] is None:
        return f"{value:.2%}"
    return f"{value:.2%} ({interval[0]:.2%} to {interval[1]:.2%})"
