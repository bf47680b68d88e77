"""A result as aligned text for a terminal, or as Markdown. Both have the same cells."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from fer_edge.benchmark.result import HEADLINES, Result, Row

Cells = Mapping[str, str]
UNSTABLE_RULES = (
    "Unstable: the 95 % interval of the median is wider than 5 % of it to either side, or the last third of "
    "the time differs from the first by more than 10 %, or the number of queries was not reached."
)


def text_report(result: Result) -> str:
    """All tables for a terminal."""
    parts = [machine_line(result.context)]
    for title, rows in tables(result):
        parts.append(f"{title}\n\n{aligned(rows)}")
    if any(row.unstable for row in result.rows):
        parts.append(UNSTABLE_RULES)
    return "\n\n".join(parts) + "\n"


def markdown_report(result: Result) -> str:
    """All tables as Markdown."""
    parts = [machine_line(result.context)]
    for title, rows in tables(result):
        parts.append(f"**{title}**\n\n{markdown(rows)}")
    if any(row.unstable for row in result.rows):
        parts.append(UNSTABLE_RULES)
    return "\n\n".join(parts) + "\n"


def tables(result: Result) -> Iterator[tuple[str, list[Cells]]]:
    """Title and rows of each table: one a scenario, and the stages of those that have any."""
    for scenario, group in groupby(result.rows, lambda row: row.scenario):
        rows = list(group)
        yield scenario_title(rows[0]), _without_empty_columns([_cells(row, rows) for row in rows])
        if any(row.stages for row in rows):
            yield f"{scenario}, milliseconds by stage", stage_cells(rows)


def scenario_title(row: Row) -> str:
    """What the figures of a scenario are."""
    return {
        "SingleStream": "SingleStream: milliseconds of one face, judged by p90",
        "MultiStream": f"MultiStream: milliseconds of {row.batch} faces, judged by p99",
        "Offline": "Offline: milliseconds of a batch, judged by faces/s",
        "EndToEnd": "EndToEnd: milliseconds of a frame, judged by frames/s",
        "ColdStart": "ColdStart: milliseconds to the first result in a fresh process, judged by p50",
    }[row.scenario]


def figure_title(row: Row) -> str:
    """The one figure that a scenario is judged by."""
    return {
        "SingleStream": "SingleStream: p90 in milliseconds of one face",
        "MultiStream": f"MultiStream: p99 in milliseconds of {row.batch} faces",
        "Offline": "Offline: faces a second",
        "EndToEnd": "EndToEnd: frames a second",
        "ColdStart": "ColdStart: median of the milliseconds to the first result",
    }[row.scenario]


def row_name(row: Row) -> str:
    """A row in words, without its scenario."""
    precision = f" ({row.precision})" if row.precision else ""
    batch = f", batch {row.batch}" if row.batch > 1 else ""
    threads = f", {row.threads} threads" if row.threads > 1 else ""
    parts = [row.subject, f"{row.model}{precision}", row.backend]
    return ", ".join(part for part in parts if part) + threads + batch


def stage_cells(rows: Sequence[Row]) -> list[Cells]:
    """Milliseconds by stage of the rows that have stages."""
    staged = [row for row in rows if row.stages]
    names = list(dict.fromkeys(stage for row in staged for stage in row.stages))
    return [
        {"input": row.input, "subject": row_name(row)}
        | {stage: number(row.stages[stage]) if stage in row.stages else "-" for stage in names}
        for row in staged
    ]


def headline(row: Row) -> str:
    """The figure that the row is judged by, with its interval."""
    name = HEADLINES[row.scenario]
    if name == "rate":
        return f"{number(row.rate)} ({number(row.rate_95[0])} to {number(row.rate_95[1])})"
    if name not in row.ms:
        return f"too few queries for {name}"
    low, high = row.ms_95[name]
    return f"{number(row.ms[name])} ({number(low)} to {number(high)})"


def machine_line(context: Mapping[str, Any]) -> str:
    """Processor, board, cores, versions and commit in one phrase."""
    board = context.get("board") or {}
    packages = context["packages"]
    commit = context.get("commit")
    parts = [
        board.get("model") or "",
        f"{context['processor']} ({', '.join(context['instruction_sets'])})",
        f"{context['cores']} cores",
        f"power mode {board['power_mode']}" if board.get("power_mode") else "",
        f"{context['ops']} kernels",
        f"fer_edge {context['fer_edge']}" + (f" at {commit}" if commit else ""),
        *(f"{name} {version}" for name, version in packages.items()),
        f"load average {context['load_average']:.1f} before, {context['load_average_after']:.1f} after",
    ]
    return "; ".join(part for part in parts if part)


def number(value: float) -> str:
    """Three significant digits, all digits of the whole part."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def markdown(rows: Sequence[Cells]) -> str:
    """A Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def aligned(rows: Sequence[Cells]) -> str:
    """Columns of equal width for a terminal."""
    names = list(rows[0])
    lines = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _cells(row: Row, rows: Sequence[Row]) -> Cells:
    judged = HEADLINES[row.scenario]
    first = next(other for other in rows if (other.batch, other.input) == (row.batch, row.input))
    name = row.rate_unit if judged == "rate" else f"{judged} (95 %)"
    has_rate = row.scenario != "ColdStart"
    return {
        "input": row.input,
        "subject": row.subject,
        "model": row.model,
        "precision": row.precision,
        "engine": row.backend,
        "threads": str(row.threads),
        "batch": str(row.batch) if row.scenario == "Offline" else "",
        "faces found": f"{row.faces:g}" if row.scenario == "EndToEnd" else "",
        **{p: number(row.ms[p]) if p in row.ms else "-" for p in ("p50", "p90", "p99")},
        f"{name}, 95 %" if judged == "rate" else name: headline(row),
        # How many times the time of the first row with the same input.
        "time, x first": f"{first.rate / row.rate:.2f}" if has_rate and row.rate else "",
        "peak MB": "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        "watts": "" if row.watts is None else number(row.watts),
        "joules/face": "" if row.joules_per_face is None else number(row.joules_per_face),
        "unstable": "; ".join(row.unstable),
    }


def _without_empty_columns(rows: Sequence[Cells]) -> list[Cells]:
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    return [{name: row[name] or "-" for name in names} for row in rows]
