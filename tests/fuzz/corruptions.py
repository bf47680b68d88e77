"""Random corruptions of an ONNX file, reproducible by their number.

Most bytes of a file are weights, where a corruption only changes numbers. So half of the positions are taken
from the rest: the names, shapes, attributes and metadata that a parser reads.
"""

import random
from collections.abc import Callable

LARGEST_SKIPPED = 256  # bytes; a longer field without fields inside is weights
# Fields that hold fields: path of field numbers from the model. Graph; its nodes, weights, inputs, outputs
# and values with their types; the attributes of nodes; imported operator sets and metadata entries.
MESSAGES = {
    (7,), (7, 1), (7, 1, 5), (7, 5), (7, 11), (7, 12), (7, 13), (8,), (14,),
    *((7, end, *rest) for end in (11, 12, 13) for rest in ((2,), (2, 1), (2, 1, 2), (2, 1, 2, 1))),
}  # fmt: skip

Span = tuple[int, int]


class Corruptor:
    """The corruptions of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        # Fields as (start, end), in lists of neighbours: the fields of one message.
        self._siblings: list[list[Span]] = []
        self._structure: list[int] = []
        self._walk((), 0, len(data))

    def corrupted(self, number: int) -> bytes:
        """Returns the file with the corruption of this number."""
        rng = random.Random(number)
        kinds = (_flip_bits, _truncate, _splice, _swap_blocks, _overwrite, _set_bytes)
        kind: Callable[[bytearray, random.Random, int], bytes] | None = (*kinds, None, None)[number % 8]
        if kind is None:
            return self._with_changed_fields(rng)
        at = rng.choice(self._structure) if rng.random() < 0.5 else rng.randrange(len(self._data))
        return kind(bytearray(self._data), rng, at)

    def _with_changed_fields(self, rng: random.Random) -> bytes:
        """One field of a message dropped, doubled, moved, or exchanged with a field of any message."""
        siblings = rng.choice(self._siblings)
        first = rng.choice(siblings)
        other = rng.choice(rng.choice(self._siblings) if rng.random() < 0.3 else siblings)
        (a, b), (c, d) = sorted((first, other))
        data = self._data
        if rng.random() < 0.3 or b > c:
            return data[:a] + data[b:] if rng.random() < 0.5 else data[:b] + data[a:b] + data[b:]
        return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]

    def _walk(self, path: tuple[int, ...], start: int, end: int) -> None:
        spans: list[Span] = []
        at = start
        while at < end:
            tag, content = _varint(self._data, at)
            field_end = content
            if tag & 7 == 0:
                _, field_end = _varint(self._data, content)
            elif tag & 7 == 2:
                length, content = _varint(self._data, content)
                field_end = content + length
            else:
                field_end = content + (4 if tag & 7 == 5 else 8)
            spans.append((at, field_end))
            inner = (*path, tag >> 3)
            if inner in MESSAGES:
                self._structure += range(at, content)
                self._walk(inner, content, field_end)
            else:
                self._structure += range(at, min(field_end, content + LARGEST_SKIPPED))
            at = field_end
        if spans:
            self._siblings.append(spans)


def _flip_bits(data: bytearray, rng: random.Random, at: int) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 8))):
        data[at] ^= 1 << rng.randrange(8)
        at = min(len(data) - 1, at + rng.randrange(40))
    return bytes(data)


def _truncate(data: bytearray, rng: random.Random, at: int) -> bytes:
    return bytes(data[:at])


def _splice(data: bytearray, rng: random.Random, at: int) -> bytes:
    """A block copied to another position, over what was there or between it."""
    source, length = rng.randrange(len(data)), rng.randrange(1, 3000)
    data[at : at + rng.choice((0, length))] = data[source : source + length]
    return bytes(data)


def _swap_blocks(data: bytearray, rng: random.Random, at: int) -> bytes:
    length = rng.randrange(1, 300)
    first, second = sorted((at % (len(data) - length), rng.randrange(len(data) - length)))
    if second >= first + length:
        block = data[first : first + length]
        data[first : first + length] = data[second : second + length]
        data[second : second + length] = block
    return bytes(data)


def _overwrite(data: bytearray, rng: random.Random, at: int) -> bytes:
    length = rng.randrange(1, 1500)
    data[at : at + length] = rng.randbytes(length)
    return bytes(data)


def _set_bytes(data: bytearray, rng: random.Random, at: int) -> bytes:
    """A few bytes at the ends of their range, as in a wrong length, dimension, type or number."""
    length = rng.choice((1, 1, 2, 5))
    data[at : at + length] = bytes((rng.choice((0x00, 0x01, 0x7F, 0x80, 0xFF)),)) * length
    return bytes(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
