"""A result as tables, picture, comparison and budget, from made rows with known answers."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from ticking import CONTEXT, ROW, row

from fer_edge.benchmark.report.budget import budget_lines
from fer_edge.benchmark.report.compare import context_differences, only_in_one, ratio_cells, ratios
from fer_edge.benchmark.report.picture import UNSTABLE, svg_from_result
from fer_edge.benchmark.report.tables import markdown_report, text_report
from fer_edge.benchmark.result import Result, Row


def result_of(*rows: Row, **context: object) -> Result:
    """A result on a made machine."""
    return Result({**CONTEXT, **context}, {}, rows)


def frames(faces: int, p90: float, **changes: object) -> Row:
    """A row of EndToEnd with so many faces."""
    return row(faces=float(faces), input=f"640x480, {faces} faces", ms={**ROW.ms, "p90": p90}, **changes)


def with_times(scale: float, seed: int, **changes: object) -> Row:
    """A row whose kept times are drawn around a scale."""
    times = scale * np.random.default_rng(seed).normal(10, 0.5, (40, 10))
    return row(turns_ms=tuple(map(tuple, times.tolist())), **changes)


def test_the_table_of_a_terminal() -> None:
    slow = row(subject="YuNet", model="y.onnx", precision="", rate=25.0, rate_95=(24.0, 26.0), stages={})
    text = text_report(result_of(row(), replace(slow, unstable=("drifted by +20%",))))
    lines = text.splitlines()
    assert lines[0] == (
        "Made CPU (avx2); 2 cores; avx2 kernels; fer_edge 0.1.0; numpy 2.0; "
        "load average 0.2 before, 1.0 after"
    )
    assert lines[2] == "EndToEnd: milliseconds of a frame, judged by frames/s"
    cells = [[cell for cell in line.split("  ") if cell] for line in lines[4:7]]
    names = [name.strip() for name in cells[0]]
    ours, peer = (dict(zip(names, map(str.strip, line), strict=True)) for line in cells[1:])
    assert ours["frames/s, 95 %"] == "100 (98.0 to 102)"
    assert (ours["p50"], ours["p90"], ours["p99"], ours["peak MB"]) == ("10.0", "12.0", "14.0", "70")
    # Four times as long as the first row.
    assert (ours["time, x first"], peer["time, x first"]) == ("1.00", "4.00")
    assert (ours["unstable"], peer["unstable"]) == ("-", "drifted by +20%")
    # Nothing was measured of these.
    assert not {"watts", "joules/face", "batch"} & set(names)
    assert "EndToEnd, milliseconds by stage" in lines
    assert lines[-1].startswith("Unstable: ")


def test_power_and_memory_have_columns_where_they_were_measured() -> None:
    text = markdown_report(result_of(row(watts=4.5, joules_per_face=0.045)))
    head, _, cells = text.split("\n\n")[2].splitlines()
    values = dict(zip(head.split(" | "), cells.split(" | "), strict=True))
    assert values["watts"] == "4.50"
    assert values["joules/face |"] == "0.0450 |"
    assert "Unstable" not in text


def test_the_picture_has_a_bar_for_each_row() -> None:
    rows = (row(), row(subject="YuNet", rate=50.0, rate_95=(49.0, 51.0)), row(unstable=("few",), model="a<b"))
    root = ElementTree.fromstring(svg_from_result(result_of(*rows)))
    space = "{http://www.w3.org/2000/svg}"
    bars = [rect for rect in root.iter(f"{space}rect") if rect.get("x")]
    first, second, _ = (float(bar.get("width") or 0) for bar in bars)
    assert first == pytest.approx(2 * second, abs=0.2)
    assert [bar.get("fill") == UNSTABLE for bar in bars] == [False, False, True]
    texts = ["".join(text.itertext()) for text in root.iter(f"{space}text")]
    assert "EndToEnd: frames a second (longer is better)" in texts
    assert "100 (98.0 to 102) unstable" in texts
    assert any("a<b" in text for text in texts)


def test_a_percentile_without_enough_queries_has_no_bar() -> None:
    few = row(scenario="MultiStream", batch=8, ms={"p50": 1.0, "mean": 1.0}, ms_95={})
    svg = svg_from_result(result_of(few))
    assert "too few queries for p99" in svg


@pytest.mark.parametrize(
    ("scale", "verdict"), [(1.2, "slower"), (0.8, "faster"), (1.0, "no difference seen")]
)
def test_what_differs_is_said(scale: float, verdict: str) -> None:
    (ratio,) = ratios(result_of(with_times(1.0, 1)), result_of(with_times(scale, 2)))
    assert ratio.verdict == verdict
    assert ratio.figure == "mean"
    assert ratio.ratio == pytest.approx(scale, rel=0.02)
    low, high = ratio.interval
    assert low < ratio.ratio < high
    # Of means of 400 times with a deviation of 5 %: 1.96 * 0.0025 * sqrt(2) to either side.
    assert high - low == pytest.approx(2 * 1.96 * 0.0025 * 2**0.5 * scale, rel=0.3)


def test_equal_rows_are_rarely_said_to_differ() -> None:
    pairs = [(with_times(1.0, 2 * n), with_times(1.0, 2 * n + 1)) for n in range(40)]
    found = [ratios(result_of(a), result_of(b))[0].verdict for a, b in pairs]
    # 5 % are expected.
    assert sum(verdict != "no difference seen" for verdict in found) <= 7


def test_unstable_rows_are_marked_in_a_comparison() -> None:
    first, second = result_of(with_times(1.0, 1)), result_of(with_times(1.5, 2, unstable=("drifted",)))
    assert ratios(first, second)[0].verdict == "slower, unstable"
    assert ratio_cells(ratios(first, second))[0]["second is"] == "slower, unstable"


def test_rows_without_a_partner_are_listed() -> None:
    first, second = result_of(row(), row(threads=2)), result_of(row(), row(subject="YuNet", model=""))
    assert len(ratios(first, second)) == 1
    assert only_in_one(first, second) == [
        "only in the first: EndToEnd, stream, tkfnet-nano (int8), onnxruntime, 2 threads, 640x480, 1 face",
        "only in the second: EndToEnd, YuNet,  (int8), onnxruntime, 640x480, 1 face",
    ]
    other = result_of(processor="Other CPU").context
    assert context_differences(first.context, other) == ["processor: Made CPU and Other CPU"]


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        # Linear between 4 faces in 10 ms and 16 in 46 ms: 3 ms a face, so 33.3 ms are 11.
        ([frames(0, 5), frames(4, 10), frames(16, 46)], "11 faces (measured: 4 in 10.0 ms, 16 in 46.0 ms)"),
        ([frames(16, 46), frames(0, 5), frames(4, 10)], "11 faces (measured: 4 in 10.0 ms, 16 in 46.0 ms)"),
        ([frames(1, 10), frames(4, 20)], "at least 4 faces (20.0 ms), the most that were measured"),
        ([frames(1, 40)], "none; a frame with 1 face takes 40.0 ms"),
        ([frames(2, 40)], "none; a frame with 2 faces takes 40.0 ms"),
        ([frames(1, 10), frames(4, 40, unstable=("few",))], "3 faces (measured: 1 in 10.0 ms"),
    ],
)
def test_faces_at_a_rate(rows: list[Row], answer: str) -> None:
    head, line = budget_lines(result_of(*rows), 30)
    assert head == "At 30 frames a second, 33.3 ms a frame, in nine of ten frames:"
    assert line.startswith(f"  stream, tkfnet-nano (int8), onnxruntime: {answer}")
    assert line.endswith("(unstable)") == any(row.unstable for row in rows)


def test_a_rate_must_be_positive() -> None:
    for fps in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="--budget must be a positive number"):
            budget_lines(result_of(row()), fps)
