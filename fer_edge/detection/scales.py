"""The scales at which the detector's network sees a frame.

The network finds faces of NETWORK_FACE_PX pixels. So the size of its input depends on the smallest wanted
face, not on the size of the frame. A larger face is missed; therefore coarser passes follow, until a face
that fills the frame is in the range of one pass. Each pass costs a fraction of the previous one.
"""

# Smallest and largest side of a face in the network's input that one pass finds: of the sides between them it
# finds 77 to 97 % (docs/models/face-luma.md, by training.evaluate_search).
NETWORK_FACE_PX = (16, 144)
# Smallest face as a share of the frame's long side, if min_face is not given; and the long side of the
# network's input that follows. `python -m training.evaluate_search` shows what other shares find and cost.
MIN_FACE_SHARE = 1 / 20
DEFAULT_LONG_PX = 320
# Minimum long side of the network's input, for any min_face. A smaller frame is not enlarged to reach it.
MIN_LONG_PX = 192
# Long side of the coarsest pass. There, a face that fills the frame is within the range of the network.
COARSE_LONG_PX = 128
# The face-size ranges of consecutive passes overlap by this factor, because detection is less reliable at the
# ends of the range.
RANGE_OVERLAP = 1.5
# Maximum enlargement of a frame without min_face: more adds no information. A frame is only enlarged up to
# DEFAULT_LONG_PX: a finer search of enlarged frames takes more things for faces.
MAX_ENLARGEMENT = 2.0


def scales_from_frame(
    long_px: int, min_face: float | None, min_face_share: float = MIN_FACE_SHARE
) -> list[float]:
    """Returns the scale of each pass, in network pixels per frame pixel, finest pass first."""
    smallest, largest = NETWORK_FACE_PX
    if min_face is None:
        enlargement = max(1.0, min(DEFAULT_LONG_PX / long_px, MAX_ENLARGEMENT))
        scale = min(smallest / min_face_share / long_px, enlargement)
    else:
        scale = smallest / min_face
    scale = max(scale, min(1.0, MIN_LONG_PX / long_px))
    scales = [scale]
    while scales[-1] * long_px > largest:
        scales.append(max(scales[-1] * smallest / largest * RANGE_OVERLAP, COARSE_LONG_PX / long_px))
    return scales


def smallest_face_px(long_px: int, min_face: float | None, min_face_share: float) -> float:
    """Returns the side, in frame pixels, from which on faces are searched in a frame of this long side."""
    return NETWORK_FACE_PX[0] / scales_from_frame(long_px, min_face, min_face_share)[0]
