"""From a frame and its faces to an annotated picture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fer_edge.arrays import U8
from fer_edge.draw.layout import Layout as LabelLayout
from fer_edge.draw.layout import layout_labels
from fer_edge.draw.painting import Painter
from fer_edge.draw.style import GREY, Colour, colour_of
from fer_edge.installation.import_opencv import opencv
from fer_edge.result import Face
from fer_edge.stages.image import Layout, layout_of_frame

# On a narrower face the dots would hide the expression.
MIN_WIDTH_OF_LANDMARKS_PX = 64


def annotate(
    frame: U8,
    faces: Sequence[Face],
    *,
    layout: Layout | None = None,
    scale: int = 1,
    charts: bool = True,
    out: U8 | None = None,
) -> U8:
    """Returns a picture of the frame with its faces: box, landmarks, expression and confidence.

    A face whose label should not be trusted has a grey, dashed box and its reason. Labels cover no other face
    and no other label; where there is no room they are smaller, away from the box with a line to it,
    shortened, or left out. `fer_edge.draw.layout_labels` returns where they are. For the frames of a video,
    an `Annotator` keeps the labels where they are.

    Args:
        frame: uint8 [H, W, 3] BGR, [H, W] grey, or NV12 [H * 3 / 2, W] with layout="nv12", whose colours are
            converted as BT.601 limited range. It is not changed.
        faces: from a Recognizer or a Stream; boxes and landmarks in frame pixels. Their `id` is
            shown, if they have one.
        layout: "bgr", "grey" or "nv12"; None: by the shape, "bgr" or "grey".
        scale: the picture is this many times larger than the frame; makes text on a small frame readable.
        charts: draw the probabilities of all expressions beside at most three faces, where there is room.
        out: uint8 [H * scale, W * scale, 3], C-contiguous, for the result; may be the frame itself,
            which is then changed. None: a new array.

    Raises:
        TypeError: frame or out is not an array, or not uint8.
        ValueError: a shape does not fit, scale is not positive, or a box is not finite.
        ImportError: OpenCV is missing.
    """
    return Annotator(layout=layout, scale=scale, charts=charts)(frame, faces, out=out)


class Annotator:
    """Annotates the frames of one video, in order: labels keep their side of a face, and their size.

        annotator = Annotator()
        for result in stream:
            picture = annotator(result.frame, result.faces)

    Faces need an `id`, as a Stream gives them. Without ids, each picture is that of `annotate`.

    Args:
        layout: as for `annotate`.
        scale: as for `annotate`.
        charts: as for `annotate`.

    Raises:
        ValueError: scale is not positive.
    """

    def __init__(self, *, layout: Layout | None = None, scale: int = 1, charts: bool = True) -> None:
        if not isinstance(scale, int) or scale < 1:
            raise ValueError(f"scale must be a positive whole number, got {scale}")
        self._layout, self._scale, self._charts = layout, scale, charts
        self._previous: LabelLayout | None = None

    def __call__(self, frame: U8, faces: Sequence[Face], *, out: U8 | None = None) -> U8:
        """Returns the picture of the next frame; arguments and errors as for `annotate`."""
        canvas = _canvas(frame, layout_of_frame(frame, self._layout), self._scale, out)
        enlarged = [_enlarged(face, self._scale) for face in faces]
        height, width = canvas.shape[:2]
        self._previous = layout_labels(width, height, enlarged, charts=self._charts, previous=self._previous)
        _paint(Painter(canvas), enlarged, self._previous)
        return canvas


def _paint(painter: Painter, faces: Sequence[Face], layout: LabelLayout) -> None:
    """Draws everything; labels last, because nothing may cover them."""
    sizes, colours = layout.sizes, [_colours(face) for face in faces]
    for face, box, shades in zip(faces, layout.boxes, colours, strict=True):
        line = sizes.line_of_box_px(box[3] - box[1])
        painter.box(box, shades[face.label], line, dashed=face.abstain_reason is not None)
        if box[2] - box[0] >= MIN_WIDTH_OF_LANDMARKS_PX:
            painter.landmarks(face.landmarks, shades[face.label], min(line + 1, (box[2] - box[0]) // 36))
    for face, box, area, shades in zip(faces, layout.boxes, layout.charts, colours, strict=True):
        if area is not None:
            painter.chart(area, face, sizes.text_px(box[3] - box[1]), shades)
    written = [
        (label, shades[face.label])
        for label, face, shades in zip(layout.labels, faces, colours, strict=True)
        if label is not None
    ]
    for label, colour in written:
        if label.leader is not None:
            painter.leader(label.leader, colour, sizes.line_px)
    for label, colour in written:
        painter.label(label, colour)


def _canvas(frame: U8, layout: Layout, scale: int, out: U8 | None) -> U8:
    """Returns `out`, or a new array, with the frame as BGR in it."""
    cv2 = opencv()
    height, width = frame.shape[0] * 2 // 3 if layout == "nv12" else frame.shape[0], frame.shape[1]
    shape = (height * scale, width * scale, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    _check_out(out, shape)
    picture: U8 = frame
    if layout != "bgr":
        code = cv2.COLOR_YUV2BGR_NV12 if layout == "nv12" else cv2.COLOR_GRAY2BGR
        picture = cv2.cvtColor(np.ascontiguousarray(frame), code)
    if scale > 1:
        picture = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    np.copyto(out, picture)
    return out


def _check_out(out: Any, shape: tuple[int, int, int]) -> None:
    expected = f"out must be a C-contiguous uint8 array [{', '.join(map(str, shape))}]"
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8:
        got = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(f"{expected}, got {got}; np.empty({shape}, np.uint8) makes one")
    if out.shape != shape or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            f"{expected} that may be written, got {list(out.shape)}; np.empty({shape}, np.uint8) makes one"
        )


def _enlarged(face: Face, scale: int) -> Face:
    x0, y0, x1, y1 = face.box
    box = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
    return replace(face, box=box, landmarks=tuple((x * scale, y * scale) for x, y in face.landmarks))


def _colours(face: Face) -> dict[str, Colour]:
    """Returns the colour of each expression; grey if the label should not be trusted."""
    labels = list(face.probabilities)
    return {label: GREY if face.abstain_reason else colour_of(label, labels) for label in labels}
