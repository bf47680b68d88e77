"""AVIF (ISO/IEC 23008-12): rotation and mirror image, which OpenCV ignores, and the frames of a sequence."""

from collections.abc import Iterator

from fer_edge.pictures.headers.header import Header, Turn


def header(data: bytes) -> Header:
    """Returns the frames, and how the properties of the primary item turn it."""
    boxes = dict(_boxes(data))
    turn = _turn(boxes[b"meta"][4:]) if b"meta" in boxes else None
    return Header(frames=_frames(boxes.get(b"moov", b"")), turn=turn)


def _turn(meta: bytes) -> Turn | None:
    """The turn by `irot` (quarter turns counterclockwise) and `imir`; None if there is neither."""
    boxes = dict(_boxes(meta))
    properties = dict(_boxes(boxes.get(b"iprp", b"")))
    known = list(_boxes(properties.get(b"ipco", b"")))
    primary = int.from_bytes(boxes.get(b"pitm", b"")[4:], "big")
    turn: Turn | None = None
    for index in _property_indices(properties.get(b"ipma", b""), primary):
        kind, content = known[index - 1] if 0 < index <= len(known) else (b"", b"")
        if kind == b"irot" and content:
            turn = (turn or Turn(0, False)).then(Turn(content[0] & 3, False))
        elif kind == b"imir" and content:
            # Axis 1 exchanges left and right; 0 exchanges top and bottom.
            turn = (turn or Turn(0, False)).then(Turn(0 if content[0] & 1 else 2, True))
    return turn


def _property_indices(associations: bytes, item: int) -> list[int]:
    """The one-based indices of the properties of an item, in the order in which they apply."""
    if len(associations) < 8:
        return []
    identity = 4 if associations[0] else 2
    size = 2 if associations[3] & 1 else 1
    at = 8
    for _ in range(int.from_bytes(associations[4:8], "big")):
        count_at = at + identity
        if count_at >= len(associations):
            break
        found = int.from_bytes(associations[at:count_at], "big")
        end = count_at + 1 + size * associations[count_at]
        if found == item:
            # The uppermost bit says that the property is essential.
            mask = (1 << (8 * size - 1)) - 1
            places = range(count_at + 1, end, size)
            return [int.from_bytes(associations[p : p + size], "big") & mask for p in places]
        at = end
    return []


def _frames(movie: bytes) -> int:
    """The samples of the longest track; 1 if there is none."""
    counts = [1]
    for kind, track in _boxes(movie):
        if kind == b"trak":
            sizes = track
            for name in (b"mdia", b"minf", b"stbl", b"stsz"):
                sizes = dict(_boxes(sizes)).get(name, b"")
            counts.append(int.from_bytes(sizes[8:12], "big"))
    return max(counts)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the boxes one after another; ends where the data is damaged."""
    at = 0
    while at + 8 <= len(data):
        length, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:
            length = len(data) - at
        if length < head:
            return
        yield kind, data[at + head : at + length]
        at += length
