"""Training canvases for the detector: mosaics of rotated, scaled, flipped, darkened, blurred and occluded
photographs.

Mosaic: Bochkovskiy et al., "YOLOv4" (2020), section 3.4. The scale is chosen by one face, whose size is
log-uniform from 10 px up, as in the data-anchor sampling of Tang et al., "PyramidBox" (2018). Photometric
steps are those of a bad camera: gamma, contrast, defocus, motion, sensor noise, JPEG.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_edge.arrays import F32, F64, U8
from training.detector.photos import Photo

MIN_FACE = 9.0  # px; smaller faces are ignored, neither face nor background
MAX_FACE = 1.1  # largest face by which the scale is chosen, as a share of the canvas side
# px; a photograph with smaller faces has even smaller ones without a label, which enlarging would turn into
# visible faces that count as background.
SAFE_TO_ENLARGE = 22.0
_MIRRORED = np.array([1, 0, 2, 4, 3])


@dataclass(frozen=True, slots=True)
class Canvas:
    """``image`` u8 [S, S]; ``boxes`` f32 [n, 4] xyxy; ``landmarks`` f32 [n, 5, 2]; ``ignored`` f32 [k, 4]
    regions.
    """

    image: U8
    boxes: F32
    landmarks: F32
    ignored: F32


def make_canvas(photos: list[Photo], side: int, rng: np.random.Generator, strength: float = 1.0) -> Canvas:
    """One training picture of ``side`` x ``side`` px from randomly drawn photographs.

    ``strength`` in [0, 1] scales how often pictures are combined, rotated, covered and degraded.
    """
    if rng.random() < 0.6 - 0.3 * strength:
        parts = [(0, 0, side, side)]
    else:
        cx, cy = rng.uniform(0.3, 0.7, 2) * side // 1
        cx, cy = int(cx), int(cy)
        parts = [(0, 0, cx, cy), (cx, 0, side, cy), (0, cy, cx, side), (cx, cy, side, side)]
    image = np.empty((side, side), np.uint8)
    tiles = []
    for x0, y0, x1, y1 in parts:
        photo = photos[rng.integers(len(photos))]
        tile = _tile(photo, x1 - x0, y1 - y0, rng, strength)
        image[y0:y1, x0:x1] = tile.image
        corner = np.array([x0, y0], np.float32)
        tiles.append(
            Canvas(
                tile.image,
                tile.boxes + np.tile(corner, 2),
                tile.landmarks + corner,
                tile.ignored + np.tile(corner, 2),
            )
        )
    boxes = np.concatenate([t.boxes for t in tiles])
    image = _camera(_occlude(image, boxes, photos, rng, strength), rng, strength)
    landmarks = np.concatenate([t.landmarks for t in tiles])
    return Canvas(image, boxes, landmarks, np.concatenate([t.ignored for t in tiles]))


def _tile(photo: Photo, width: int, height: int, rng: np.random.Generator, strength: float) -> Canvas:
    """A warped view of one photograph, with its faces divided into kept and ignored ones."""
    angle = np.deg2rad(rng.uniform(-40, 40) if rng.random() < 0.5 * strength else rng.normal(0, 8))
    flip = rng.random() < 0.5
    scale, source, target = _place(photo, width, height, rng, strength)
    matrix = _similarity(scale, angle, flip, source, target)
    # Halved first where bilinear sampling would skip pixels, as the runtime's warp does.
    image, halved = photo.image, 1.0
    while scale * halved < 0.6 and min(image.shape) > 16:
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        halved *= 2.0
    warp = matrix.copy()
    warp[:, :2] *= halved
    # From continuous coordinates (centre of the first pixel at 0.5) to OpenCV's (centre at 0).
    warp[:, 2] += 0.5 * warp[:, :2].sum(axis=1) - 0.5
    fill = float(rng.choice([118, 0, rng.integers(0, 256)]))
    view = cv2.warpAffine(image, warp, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill)
    boxes, landmarks = _transform(photo, matrix, scale, angle, flip)
    seen = _visible_share(boxes, width, height)
    size = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    keep = photo.certain & (seen > 0.55) & (size >= MIN_FACE)
    # Faces that are not kept but partly visible are ignored: a nose at the border is not background.
    ignored = ~keep & (seen > 0.05)
    return Canvas(view, boxes[keep], landmarks[keep], boxes[ignored])


def _place(
    photo: Photo, width: int, height: int, rng: np.random.Generator, strength: float
) -> tuple[float, F64, F64]:
    """The scale, and a point of the photograph with the point of the tile where it comes to lie."""
    h, w = photo.image.shape
    sizes = np.sqrt(np.prod(photo.boxes[:, 2:] - photo.boxes[:, :2], axis=1))
    anchors = np.flatnonzero(photo.certain & (sizes > 8))
    tile = np.array([width, height], np.float64)
    if len(anchors) == 0 or rng.random() < 0.7 - 0.4 * strength:
        # Nearly unchanged: unaltered camera pictures are the most common input.
        scale = float(np.exp(rng.uniform(np.log(0.5), np.log(1.25))))
        return scale, rng.uniform(0.25, 0.75, 2) * (w, h), rng.uniform(0.35, 0.65, 2) * tile
    anchor = rng.choice(anchors)
    largest = max(MIN_FACE * 2, MAX_FACE * min(width, height))
    smallest = max(MIN_FACE + 1, 0.08 * min(width, height))
    wanted = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    limit = 3.0 if sizes.min() >= SAFE_TO_ENLARGE else 1.5
    scale = float(np.clip(wanted / sizes[anchor], 0.12, limit))
    centre = (photo.boxes[anchor, :2] + photo.boxes[anchor, 2:]) / 2
    return scale, centre.astype(np.float64), rng.uniform(0.12, 0.88, 2) * tile


def _similarity(scale: float, angle: float, flip: bool, source: F64, target: F64) -> F64:
    """[2, 3] matrix from photograph to tile, both continuous, that takes ``source`` to ``target``."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    return np.concatenate([linear, (target - linear @ source)[:, None]], axis=1)


def _transform(photo: Photo, matrix: F64, scale: float, angle: float, flip: bool) -> tuple[F32, F32]:
    """Boxes and landmarks through the matrix; a box is rotated like the ellipse inscribed in it."""
    landmarks = photo.landmarks @ matrix[:, :2].T + matrix[:, 2]
    if flip:
        landmarks = landmarks[:, _MIRRORED]
    centre = (photo.boxes[:, :2] + photo.boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    w, h = ((photo.boxes[:, 2:] - photo.boxes[:, :2]) * scale).T
    c, s = np.cos(angle), np.sin(angle)
    half = np.stack([np.hypot(w * c, h * s), np.hypot(w * s, h * c)], axis=1) / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes.astype(np.float32), landmarks.astype(np.float32)


def _visible_share(boxes: F32, width: int, height: int) -> F32:
    inside = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3), axis=1)
    shown: F32 = np.prod(inside[:, 2:] - inside[:, :2], axis=1) / area
    return shown


def _occlude(
    image: U8,
    boxes: F32,
    photos: list[Photo],
    rng: np.random.Generator,
    strength: float,
) -> U8:
    """Covers a part (at most about 45 %) of one face in eight with flat grey or a piece of another
    photograph.
    """
    side = image.shape[0]
    for x0, y0, x1, y1 in boxes:
        if rng.random() > 0.13 * strength:
            continue
        w, h = (x1 - x0) * rng.uniform(0.3, 1.0), (y1 - y0) * rng.uniform(0.2, 0.45)
        left = int(np.clip(rng.uniform(x0, x1 - w), 0, side - 2))
        top = int(np.clip(rng.choice([rng.uniform(y0, y1 - h), y1 - h]), 0, side - 2))
        right, bottom = min(side, int(left + w) + 1), min(side, int(top + h) + 1)
        patch: U8 | int = int(rng.integers(0, 256))
        other = photos[rng.integers(len(photos))].image
        if rng.random() < 0.5 and other.shape[0] > bottom - top and other.shape[1] > right - left:
            patch = other[: bottom - top, : right - left]
        image[top:bottom, left:right] = patch
    return image


def _camera(image: U8, rng: np.random.Generator, strength: float) -> U8:
    """The defects of a cheap camera, in the order in which they arise: optics, exposure, sensor,
    compression.
    """
    if rng.random() < 0.15 * strength:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.06 * strength:
        length = int(rng.integers(3, 8))
        kernel = np.eye(length) if rng.random() < 0.5 else np.ones((1, length))
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if rng.random() < 0.7 * strength:
        gamma = np.exp(rng.uniform(-0.9, 0.9)) if rng.random() < 0.6 else 1.0
        gain, offset = rng.uniform(0.5, 1.4), rng.uniform(-30, 30)
        if rng.random() < 0.12:
            gain, offset = rng.uniform(0.2, 0.45), rng.uniform(0, 15)
        table = (np.linspace(0, 1, 256) ** gamma * 255 - 118) * gain + 118 * min(gain, 1.0) + offset
        image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8))
    if rng.random() < 0.25 * strength:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 14))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25 * strength:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_GRAYSCALE)
    return image
