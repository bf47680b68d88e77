"""Streams: sources, identity, cadence, smoothing, events, recording; the only state across frames.

    from fer_edge.stream import EventRules, Smoothing, Stream, StreamGroup, replay

`Stream` is also `fer_edge.Stream`.
"""

from fer_edge.stream.events import EventRules
from fer_edge.stream.group import StreamGroup
from fer_edge.stream.recording import replay
from fer_edge.stream.result import Event, Skipped, StreamFace, StreamResult
from fer_edge.stream.smoothing import Smoothing
from fer_edge.stream.stream import Stream

__all__ = [
    "Event",
    "EventRules",
    "Skipped",
    "Smoothing",
    "Stream",
    "StreamFace",
    "StreamGroup",
    "StreamResult",
    "replay",
]
