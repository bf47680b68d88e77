"""The faces of a stream as fields of vision_msgs/Detection2DArray (vision_msgs 4: ROS 2 Humble and later).

python ros_messages.py [SOURCE]: prints a message a frame as JSON, which `ros2 topic pub` takes.
SOURCE: a camera (/dev/video1), video or URL; the camera 0 if it is left out.
"""

import json
import sys
from typing import Any

import fer_edge
from fer_edge.stream import StreamFace, StreamResult


def detection(face: StreamFace, header: Any) -> dict[str, Any]:
    """One hypothesis for each expression, the most probable first; none if the face abstains."""
    x0, y0, x1, y1 = face.box
    ranked = sorted(face.probabilities.items(), key=lambda item: -item[1])
    center = {"position": {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2}, "theta": 0.0}
    return {
        "header": header,
        "results": [
            {"hypothesis": {"class_id": label, "score": probability}}
            for label, probability in ([] if face.abstain_reason else ranked)
        ],
        "bbox": {"center": center, "size_x": x1 - x0, "size_y": y1 - y0},
        "id": str(face.id),
    }


def detection_array(result: StreamResult, header: Any) -> dict[str, Any]:
    return {"header": header, "detections": [detection(face, header) for face in result.faces]}


if __name__ == "__main__":
    with fer_edge.Stream(fer_edge.Recognizer(), sys.argv[1] if len(sys.argv) > 1 else 0) as stream:
        for result in stream:
            stamp = {"sec": int(result.time), "nanosec": int(result.time % 1 * 1e9)}
            print(json.dumps(detection_array(result, {"stamp": stamp, "frame_id": "camera"})))
