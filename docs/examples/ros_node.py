"""A ROS 2 node: the images of a topic in, vision_msgs/Detection2DArray out.

python ros_node.py --ros-args -r image:=/camera/image_raw: the images must be bgr8.
"""

from collections import deque

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_messages import detection_array
from rosidl_runtime_py import set_message_fields
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

import fer_edge


class FaceNode(Node):
    def __init__(self) -> None:
        super().__init__("fer_edge")
        self._frames: deque = deque()  # what a callback appends, the stream takes
        self._stream = fer_edge.Stream(fer_edge.Recognizer(), iter(self._frames.popleft, None))
        self._publisher = self.create_publisher(Detection2DArray, "faces", 10)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self._on_image, newest)

    def _on_image(self, image: Image) -> None:
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        frame = rows[:, : 3 * image.width].reshape(image.height, image.width, 3)
        self._frames.append((image.header.stamp.sec + image.header.stamp.nanosec / 1e9, frame))
        message = Detection2DArray()
        set_message_fields(message, detection_array(next(self._stream), image.header))
        self._publisher.publish(message)


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(FaceNode())
