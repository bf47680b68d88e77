"""The messages to the page."""

import json

import pytest

from fer_edge.draw import colour_of
from fer_edge.web.messages import binary_message, first_message, public_name


def test_the_first_message_has_the_colours_of_the_drawings() -> None:
    first = json.loads(first_message(("neutral", "happiness", "my own"), "camera 0"))
    assert first["source"] == "camera 0"
    assert first["window_s"] == 60
    names = [label["name"] for label in first["labels"]]
    assert names == ["neutral", "happiness", "my own"]
    blue, green, red = colour_of("happiness", names)
    assert first["labels"][1] == {
        "name": "happiness",
        "colour": f"#{red:02x}{green:02x}{blue:02x}",
        "text": "#000000",
    }


def test_a_binary_message_is_length_fields_picture() -> None:
    message = binary_message({"now": 1.5}, b"JPEG")
    assert message == b"\x00\x00\x00\x0b" + b'{"now":1.5}' + b"JPEG"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("camera 0", "camera 0"),
        ("/videos/what?.mp4", "/videos/what?.mp4"),
        ("rtsp://user:secret@host:554/stream", "rtsp://host:554/stream"),
        ("http://host/video.mjpg?key=secret&size=2", "http://host/video.mjpg"),
        (
            'rtspsrc location="rtsp://u:p@host/a?k=secret" ! appsink',
            'rtspsrc location="rtsp://host/a" ! appsink',
        ),
    ],
)
def test_no_password_is_shown(source: str, shown: str) -> None:
    assert public_name(source) == shown
