"""A result as a picture: SVG, which needs no library and stays sharp at any size.

One bar a row, of the figure that its scenario is judged by, with its 95 % interval; grey where it is
unstable. Colours are those of Okabe and Ito, which people with any colour vision can tell apart.
"""

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from fer_edge.benchmark.report.tables import figure_title, headline, machine_line, row_name
from fer_edge.benchmark.result import HEADLINES, Result, Row

WIDTH, LEFT, RIGHT, BAR, STEP, MARGIN = 1040, 440, 190, 14, 22, 20  # px
OURS, OTHERS, UNSTABLE, LINE = "#0072B2", "#E69F00", "#BBBBBB", "#222222"
OUR_SUBJECTS = ("network", "each frame searched", "stream", "fresh process")
LINE_CHARACTERS = 150  # of the machine's description


def svg_from_result(result: Result) -> str:
    """The picture as SVG text."""
    parts: list[str] = []
    y = MARGIN + 4
    for line in _wrapped(machine_line(result.context)):
        parts.append(_text(MARGIN, y + 10, line, "small"))
        y += 15
    for _, group in groupby(result.rows, lambda row: row.scenario):
        rows = list(group)
        better = "longer is better" if HEADLINES[rows[0].scenario] == "rate" else "shorter is better"
        y += 34
        parts.append(_text(MARGIN, y, f"{figure_title(rows[0])} ({better})", "title"))
        y += 12
        y = _bars(rows, y, parts)
    height = y + MARGIN
    style = (
        "text{font-family:sans-serif;font-size:12px;fill:#222}"
        ".title{font-size:14px;font-weight:bold}.small{font-size:11px;fill:#666}.name{text-anchor:end}"
    )
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">\n<style>{style}</style>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#FFF"/>\n{body}\n</svg>\n'
    )


def _bars(rows: Sequence[Row], y: int, parts: list[str]) -> int:
    """Adds the bars of a scenario below y; returns where they end."""
    values = [_value_and_interval(row) for row in rows]
    largest = max(interval[1] for _, interval in values)
    # Nothing to show where no row has enough queries for its figure.
    scale = (WIDTH - LEFT - RIGHT) / largest if largest else 0.0
    shown = ""
    for row, (value, interval) in zip(rows, values, strict=True):
        if row.input != shown:
            shown = row.input
            y += 16
            parts.append(_text(LEFT, y, shown, "small"))
            y += 4
        colour = UNSTABLE if row.unstable else OURS if row.subject in OUR_SUBJECTS else OTHERS
        end, middle = LEFT + value * scale, y + BAR / 2 + 2
        low, high = (LEFT + bound * scale for bound in interval)
        note = " unstable" if row.unstable else ""
        parts += [
            _text(LEFT - 8, y + BAR, row_name(row), "name"),
            f'<rect x="{LEFT}" y="{y + 2}" width="{end - LEFT:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8" '
            f'stroke="{LINE}" fill="none"/>',
            _text(max(end, high) + 8, y + BAR, headline(row) + note),
        ]
        y += STEP
    return y


def _value_and_interval(row: Row) -> tuple[float, tuple[float, float]]:
    name = HEADLINES[row.scenario]
    if name == "rate":
        return row.rate, (row.rate_95[0], row.rate_95[1])
    if name not in row.ms:
        return 0.0, (0.0, 0.0)
    return row.ms[name], (row.ms_95[name][0], row.ms_95[name][1])


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(text)}</text>'


def _wrapped(text: str) -> list[str]:
    """Lines of at most LINE_CHARACTERS, broken between the parts of the description."""
    lines = [""]
    for part in text.split("; "):
        joined = f"{lines[-1]}; {part}" if lines[-1] else part
        if len(joined) > LINE_CHARACTERS:
            lines.append(part)
        else:
            lines[-1] = joined
    return lines
