"""Annotated pictures: one style for photos, videos and the live page, also for your own frames.

    from fer_edge.draw import Annotator, annotate

    picture = annotate(frame, recognizer(frame))

    annotator = Annotator()  # for a video: labels keep their places
    for result in stream:
        picture = annotator(result.frame, result.faces)

- style.py: colours and sizes
- placement.py: where a rectangle of text has room beside a box
- layout.py: what is written about each face, where, and how large
- previous.py: what was where in the frame before
- painting.py: the OpenCV calls
- annotated_picture.py: from a frame to a picture
- timeline.py: the expressions of each identity of a stream over time
"""

from fer_edge.draw.annotated_picture import Annotator, annotate
from fer_edge.draw.layout import Label, Layout, layout_labels
from fer_edge.draw.style import colour_of, contrast, text_colour_on
from fer_edge.draw.timeline import Timeline

__all__ = [
    "Annotator",
    "Label",
    "Layout",
    "Timeline",
    "annotate",
    "colour_of",
    "contrast",
    "layout_labels",
    "text_colour_on",
]
