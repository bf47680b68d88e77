"""The fields of vision_msgs/Detection2DArray of vision_msgs 4, and of the messages in it.

As the interface files of ROS 2 Humble and later state them, in the notation of a bag.
"""

DETECTION_2D_ARRAY = "vision_msgs/msg/Detection2DArray"
_FIELDS = {
    "vision_msgs/Detection2DArray": "std_msgs/Header header; vision_msgs/Detection2D[] detections",
    "std_msgs/Header": "builtin_interfaces/Time stamp; string frame_id",
    "builtin_interfaces/Time": "int32 sec; uint32 nanosec",
    "vision_msgs/Detection2D": "std_msgs/Header header; vision_msgs/ObjectHypothesisWithPose[] results; "
    "vision_msgs/BoundingBox2D bbox; string id",
    "vision_msgs/ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis; "
    "geometry_msgs/PoseWithCovariance pose",
    "vision_msgs/ObjectHypothesis": "string class_id; float64 score",
    "vision_msgs/BoundingBox2D": "vision_msgs/Pose2D center; float64 size_x; float64 size_y",
    "vision_msgs/Pose2D": "vision_msgs/Point2D position; float64 theta",
    "vision_msgs/Point2D": "float64 x; float64 y",
    "geometry_msgs/PoseWithCovariance": "geometry_msgs/Pose pose; float64[36] covariance",
    "geometry_msgs/Pose": "geometry_msgs/Point position; geometry_msgs/Quaternion orientation",
    "geometry_msgs/Point": "float64 x; float64 y; float64 z",
    "geometry_msgs/Quaternion": "float64 x; float64 y; float64 z; float64 w",
}


def definition() -> str:
    """Returns the definition of Detection2DArray and of all that it contains, one field a line."""
    lines = {name: fields.replace("; ", "\n") for name, fields in _FIELDS.items()}
    first, *others = lines
    parts = [lines[first], *(f"MSG: {name}\n{lines[name]}" for name in others)]
    return f"\n{'=' * 80}\n".join(parts)
