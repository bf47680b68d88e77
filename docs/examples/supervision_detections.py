"""The faces of a stream as supervision.Detections, for its annotators, zones and sinks.

python supervision_detections.py SOURCE OUT.mp4: counts frames with a smile in the left half.
"""

import sys
from collections.abc import Sequence

import numpy as np
import supervision as sv

import fer_edge
from fer_edge.stream import StreamFace


def detections_from_faces(faces: Sequence[StreamFace], labels: tuple[str, ...]) -> sv.Detections:
    """`class_id` is the expression, `confidence` how often such a label is right, `tracker_id` the face."""
    return sv.Detections(
        xyxy=np.array([face.box for face in faces], np.float32).reshape(-1, 4),
        confidence=np.array([face.confidence for face in faces], np.float32),
        class_id=np.array([labels.index(face.label) for face in faces], int),
        tracker_id=np.array([face.id for face in faces], int),
        data={"class_name": np.array([face.label for face in faces])},
    )


if __name__ == "__main__":
    source, out = sys.argv[1:]
    info = sv.VideoInfo.from_video_path(source)
    left = np.array([(0, 0), (info.width // 2, 0), (info.width // 2, info.height), (0, info.height)])
    zone, boxes = sv.PolygonZone(left), sv.BoxAnnotator()
    smiles = 0
    recognizer = fer_edge.Recognizer()
    with fer_edge.Stream(recognizer, source) as stream, sv.VideoSink(out, info) as sink:
        for result in stream:
            detections = detections_from_faces(result.faces, recognizer.labels)
            smiling = detections[detections.class_id == recognizer.labels.index("happiness")]
            smiles += int(zone.trigger(smiling).sum())
            sink.write_frame(boxes.annotate(result.frame.copy(), detections))
    print(f"{smiles} smiles in the left half")
