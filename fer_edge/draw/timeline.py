"""A picture of a whole stream: the expressions of each identity over time, stacked.

Each face has a row, in which the height of a colour is the mean probability of its expression. Where the
face was not seen the row is empty. A grey bar below the row marks where the label should not be trusted.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import U8
from fer_edge.draw.layout import text_width
from fer_edge.draw.painting import Painter
from fer_edge.draw.style import DIM, GREY, WHITE, Colour, colour_of

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamResult

F64 = NDArray[np.float64]

GROUND: Colour = (24, 24, 24)
EMPTY: Colour = (44, 44, 44)
WIDTH_PX, TEXT_PX, MARGIN_PX = 1280, 20, 16
ROW_PX, GAP_PX, BAR_PX = 96, 22, 6
# With more rows the picture would be too long to be looked at.
MAX_ROWS = 30
# At most this many marks on the axis of time.
MAX_MARKS = 12
# Seconds from mark to mark.
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
# A face that is missing for less than so many frames is drawn without a gap.
MAX_GAP_FRAMES = 3


class Shares(NamedTuple):
    """What one face showed in each column of its row.

    Attributes:
        probabilities: mean [COLUMNS, C]; NaN where it was not seen.
        untrusted: share of frames that abstained [COLUMNS].
    """

    probabilities: F64
    untrusted: F64


class Timeline:
    """Collects the results of a stream and draws them.

    Args:
        labels: the expressions of the model.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._times: list[float] = []
        # Frames, probabilities, and whether the face abstained, of each face.
        self._faces: dict[int, tuple[list[int], list[list[float]], list[bool]]] = {}

    def add(self, result: "StreamResult") -> None:
        """Remembers the faces of a frame."""
        for face in result.faces:
            frames, probabilities, untrusted = self._faces.setdefault(face.id, ([], [], []))
            frames.append(len(self._times))
            probabilities.append(list(face.probabilities.values()))
            untrusted.append(face.abstain_reason is not None)
        self._times.append(result.time)

    def picture(self) -> U8:
        """Returns the picture, uint8 [H, 1280, 3] BGR; the faces that were seen longest, by id."""
        longest = sorted(self._faces, key=lambda face: -len(self._faces[face][0]))[:MAX_ROWS]
        rows = sorted(longest)
        left = 2 * MARGIN_PX + max([text_width(f"#{face}", TEXT_PX) for face in rows], default=0)
        columns = WIDTH_PX - left - MARGIN_PX
        top = 3 * MARGIN_PX + TEXT_PX
        axis = top + max(1, len(rows)) * (ROW_PX + GAP_PX)
        canvas = np.full((axis + 2 * TEXT_PX + MARGIN_PX, WIDTH_PX, 3), GROUND, np.uint8)
        painter = Painter(canvas)
        self._draw_legend(painter)
        for number, face in enumerate(rows):
            row = top + number * (ROW_PX + GAP_PX)
            painter.text(f"#{face}", (MARGIN_PX, row + (ROW_PX - TEXT_PX) // 2), TEXT_PX, WHITE)
            self._draw_row(canvas[row : row + ROW_PX + BAR_PX + 2, left : left + columns], face)
        if not rows:
            painter.text("no face", (left, top + (ROW_PX - TEXT_PX) // 2), TEXT_PX, DIM)
        self._draw_axis(painter, (left, axis, left + columns))
        if hidden := len(self._faces) - len(rows):
            note = f"and {hidden} faces that were seen for less time"
            painter.text(note, (left, axis + TEXT_PX + MARGIN_PX // 2), TEXT_PX, DIM)
        return canvas

    def _span(self) -> tuple[float, float]:
        """The time of the first frame, and the seconds to the end of the last one."""
        if not self._times:
            return 0.0, 1.0
        start, seconds = self._times[0], self._times[-1] - self._times[0]
        return start, max(seconds * len(self._times) / max(1, len(self._times) - 1), 1e-3)

    def _draw_legend(self, painter: Painter) -> None:
        x = MARGIN_PX
        names = [(label, colour_of(label, self._labels)) for label in self._labels]
        for name, colour in [*names, ("abstains", GREY)]:
            # The bar of a face that abstains is low, and so is its sign.
            height = TEXT_PX if name != "abstains" else BAR_PX
            painter.fill((x, MARGIN_PX + TEXT_PX - height, x + TEXT_PX, MARGIN_PX + TEXT_PX), colour)
            painter.text(name, (x + TEXT_PX + 6, MARGIN_PX), TEXT_PX, WHITE)
            x += TEXT_PX + 6 + text_width(name, TEXT_PX) + MARGIN_PX

    def _draw_row(self, area: U8, face: int) -> None:
        """Fills a part of the canvas: the stacked probabilities, and below them the bar."""
        shares = self._shares(face, area.shape[1])
        area[:ROW_PX] = EMPTY
        edges = np.cumsum(np.nan_to_num(shares.probabilities), axis=1)
        seen = ~np.isnan(shares.probabilities[:, 0])
        # The share of the total that the middle of each pixel row is at, from below.
        heights = (np.arange(ROW_PX, 0, -1) - 0.5) / ROW_PX
        # [ROW_PX, COLUMNS], the expression at each pixel.
        shown = (heights[:, None, None] * edges[None, :, -1:] > edges[None]).sum(axis=2)
        colours = np.array([colour_of(label, self._labels) for label in self._labels], np.uint8)
        area[:ROW_PX][:, seen] = colours[np.minimum(shown, len(colours) - 1)][:, seen]
        area[ROW_PX + 2 :, seen & (shares.untrusted > 0.5)] = GREY

    def _shares(self, face: int, columns: int) -> Shares:
        start, seconds = self._span()
        frames, probabilities, untrusted = self._faces[face]
        times = np.array(self._times)[frames]
        places = np.minimum(((times - start) / seconds * columns).astype(int), columns - 1)
        sums = np.zeros((columns, len(self._labels) + 2))
        rows = np.column_stack([probabilities, untrusted, np.ones(len(frames))])
        np.add.at(sums, places, rows)
        counts = sums[:, -1:]
        means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        # With fewer frames than columns, a frame is shown until the next one.
        reach = math.ceil(MAX_GAP_FRAMES * columns / len(self._times))
        latest = np.maximum.accumulate(np.where(counts[:, 0] > 0, np.arange(columns), -columns))
        held = np.arange(columns) - latest <= reach
        # After its last frame, a face is shown for one frame only.
        held &= np.arange(columns) < places.max() + max(1, columns / len(self._times))
        means = np.where(held[:, None], means[np.maximum(latest, 0)], np.nan)
        return Shares(means[:, :-2], np.nan_to_num(means[:, -2]))

    def _draw_axis(self, painter: Painter, area: tuple[int, int, int]) -> None:
        left, top, right = area
        start, seconds = self._span()
        step = next((step for step in STEPS_S if seconds / step <= MAX_MARKS), STEPS_S[-1])
        painter.fill((left, top - GAP_PX // 2, right, top - GAP_PX // 2 + 1), DIM)
        for number in range(math.ceil(start / step - 1e-9), math.floor((start + seconds) / step) + 1):
            x = left + round((number * step - start) / seconds * (right - left))
            painter.fill((x, top - GAP_PX // 2, x + 1, top - 2), DIM)
            text = clock_time(number * step, step)
            x = min(max(x - text_width(text, TEXT_PX) // 2, 0), right - text_width(text, TEXT_PX))
            painter.text(text, (x, top), TEXT_PX, DIM)


def clock_time(seconds: float, step: float) -> str:
    """Returns a time as text: `0.4 s`, `7 s`, `1:05` (minutes) or `2:01:05` (hours)."""
    if seconds < 60:
        return f"{seconds:.1f} s" if step < 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(seconds, 60)
    tail = f"{rest:04.1f}" if step < 1 else f"{rest:02.0f}"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"
