"""The messages from the server to the page.

The first is a JSON text: what does not change. Each further one is binary: the length of a JSON object (four
bytes, big-endian), the object in UTF-8, and a JPEG picture, or nothing if there is no newer picture. The page
answers each binary message with any text when it has shown it.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from fer_edge.draw import colour_of, text_colour_on
from fer_edge.web.journal import WINDOW_S


def first_message(labels: Sequence[str], source: str) -> str:
    """Returns the first message.

    Args:
        labels: the expressions of the model, in the order of the probabilities.
        source: name of the source.
    """
    colours = [colour_of(label, labels) for label in labels]
    return json.dumps(
        {
            "source": public_name(source),
            "window_s": WINDOW_S,
            "labels": [
                {"name": label, "colour": _hex(colour), "text": _hex(text_colour_on(colour))}
                for label, colour in zip(labels, colours, strict=True)
            ],
        }
    )


def binary_message(fields: dict[str, Any], jpeg: bytes) -> bytes:
    """Returns a further message."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    return len(text).to_bytes(4, "big") + text + jpeg


def public_name(source: str) -> str:
    """Returns the name of a source without the user, password and query of the URLs in it."""
    if "://" not in source:
        return source
    return re.sub(r"[?#][^\s\"']*", "", re.sub(r"://[^/\s@]*@", "://", source))


def _hex(colour: tuple[int, int, int]) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
