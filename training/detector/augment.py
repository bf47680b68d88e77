"""Training canvases for the detector: mosaics of rotated, scaled, flipped, darkened, blurred and occluded
photographs.

Mosaic: Bochkovskiy et al., "YOLOv4" (2020), section 3.4. The scale is chosen by one face, whose size is
log-uniform from 10 px up, as in the data-anchor sampling of Tang et al., "PyramidBox" (2018). Some tiles are
close-ups, of which an edge may cut a part. Pictures without a face are drawn more often than their share,
because animals and round things are what a detector takes for faces. Photometric steps are those of a bad
camera: gamma, contrast, exposure, defocus, motion, sensor noise, JPEG.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fer_edge.arrays import F32, F64, U8
from training.detector.clutter import draw_round_things
from training.detector.photos import Photo

MIN_FACE = 9.0  # px; smaller faces are ignored, neither face nor background
MAX_FACE = 1.1  # largest face by which the scale is chosen, as a share of the canvas side
# px; a photograph with smaller faces has even smaller ones without a label, which enlarging would turn into
# visible faces that count as background.
SAFE_TO_ENLARGE = 22.0
NEGATIVE_SHARE = 0.2  # of the tiles, from pictures without a face; they are an eighth of the data
CLOSE_UP_SHARE = 0.15  # of the tiles with a face at full strength: one face, nearly as large as the tile
CLOSE_UP = (0.45, 1.2)  # its size as a share of the tile's smaller side
CUT_SHARE = 0.5  # of the close-ups: an edge cuts a part of the face
MAX_CUT = 0.25  # largest share of the face's width or height that is cut
ENLARGE_CLOSE_UP = 4.0  # largest enlargement; the picture is then as soft as a defocused one
# Roll in degrees with the share of the tiles at full strength: heads and cameras tilt, few are upside down.
STRONG_ROLL, STRONG_ROLL_SHARE = 45.0, 0.5
ANY_ROLL_SHARE = 0.05
UPRIGHT_ROLL = 8.0  # standard deviation of the remaining tiles
BAD_EXPOSURE_SHARE = 0.1  # of the canvases at full strength
MIN_CONTRAST = 2.0  # standard deviation of luma; in the dark, a flatter face is not to be seen and is ignored
CLUTTER_SHARE = 0.2  # of the pictures without a face: with drawn round things
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


class PhotoPool:
    """Photographs to draw from; those without a face with the probability NEGATIVE_SHARE."""

    def __init__(self, photos: list[Photo]) -> None:
        self._negative = [p for p in photos if p.negative]
        self._others = [p for p in photos if not p.negative]

    def draw(self, rng: np.random.Generator) -> Photo:
        """One photograph."""
        negative = rng.random() < NEGATIVE_SHARE
        photos = (self._negative if negative else self._others) or self._negative or self._others
        return photos[rng.integers(len(photos))]


def make_canvas(photos: PhotoPool, side: int, rng: np.random.Generator, strength: float = 1.0) -> Canvas:
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
        tile = _tile(photos.draw(rng), x1 - x0, y1 - y0, rng, strength)
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
    visible = np.array([_contrast(image, box) >= MIN_CONTRAST for box in boxes], bool)
    ignored = np.concatenate([*(t.ignored for t in tiles), boxes[~visible]])
    return Canvas(image, boxes[visible], landmarks[visible], ignored)


def _contrast(image: U8, box: F32) -> float:
    """Standard deviation of the pixels of a box."""
    x0, y0, x1, y1 = np.clip(box, 0, image.shape[0] - 1).astype(int).tolist()
    return float(cv2.meanStdDev(image[y0 : y1 + 1, x0 : x1 + 1])[1].item())


def _tile(photo: Photo, width: int, height: int, rng: np.random.Generator, strength: float) -> Canvas:
    """A warped view of one photograph, with its faces divided into kept and ignored ones."""
    angle = np.deg2rad(_roll(rng, strength))
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
    if photo.negative and rng.random() < CLUTTER_SHARE:
        view = draw_round_things(view, rng)
    boxes, landmarks = _transform(photo, matrix, scale, angle, flip)
    seen = _visible_share(boxes, width, height)
    size = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    keep = photo.certain & (seen > 0.55) & (size >= MIN_FACE)
    # Faces that are not kept but partly visible are ignored: a nose at the border is not background.
    ignored = ~keep & (seen > 0.05)
    return Canvas(view, boxes[keep], landmarks[keep], boxes[ignored])


def _roll(rng: np.random.Generator, strength: float) -> float:
    """The angle of a tile in degrees."""
    kind = rng.random()
    if kind < ANY_ROLL_SHARE * strength:
        return float(rng.uniform(-180, 180))
    if kind < (ANY_ROLL_SHARE + STRONG_ROLL_SHARE) * strength:
        return float(rng.uniform(-STRONG_ROLL, STRONG_ROLL))
    return float(rng.normal(0, UPRIGHT_ROLL))


def _place(
    photo: Photo, width: int, height: int, rng: np.random.Generator, strength: float
) -> tuple[float, F64, F64]:
    """The scale, and a point of the photograph with the point of the tile where it comes to lie."""
    h, w = photo.image.shape
    sizes = np.sqrt(np.prod(photo.boxes[:, 2:] - photo.boxes[:, :2], axis=1))
    anchors = np.flatnonzero(photo.certain & (sizes > 8))
    tile = np.array([width, height], np.float64)
    kind = rng.random()
    if len(anchors) and kind < CLOSE_UP_SHARE * strength:
        return _close_up(photo, anchors[sizes[anchors].argmax()], tile, rng)
    if len(anchors) == 0 or kind < 0.7 - 0.4 * strength:
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


def _close_up(photo: Photo, face: int, tile: F64, rng: np.random.Generator) -> tuple[float, F64, F64]:
    """As `_place`, with one large face, of which an edge of the tile may cut up to MAX_CUT."""
    corner0, corner1 = photo.boxes[face, :2].astype(np.float64), photo.boxes[face, 2:].astype(np.float64)
    size = corner1 - corner0
    scale = min(tile.min() * rng.uniform(*CLOSE_UP) / float(np.sqrt(size.prod())), ENLARGE_CLOSE_UP)
    half = size * scale / 2
    # Anywhere inside the tile; in the middle where the face is larger than that.
    target = rng.uniform(np.minimum(half, tile / 2), np.maximum(tile - half, tile / 2))
    if rng.random() < CUT_SHARE:
        axis, cut = int(rng.integers(2)), rng.uniform(0, MAX_CUT)
        reach = half[axis] * (1 - 2 * cut)
        target[axis] = reach if rng.random() < 0.5 else tile[axis] - reach
    return scale, (corner0 + corner1) / 2, target


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
    photos: PhotoPool,
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
        other = photos.draw(rng).image
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
    exposure = rng.random()
    if exposure < BAD_EXPOSURE_SHARE * strength:
        # Too short: values down to an eighth, with the steps of 8 bits. Too long: saturated.
        gain = np.exp(-rng.uniform(np.log(2), np.log(8))) if rng.random() < 0.6 else rng.uniform(1.4, 2.5)
        image = cv2.LUT(image, np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8))
    elif exposure < 0.7 * strength:
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
