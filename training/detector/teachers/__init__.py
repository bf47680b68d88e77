"""Face detectors that teach face-luma: YuNet, CenterFace and RetinaFace. Their ONNX files are not shipped."""

from training.detector.teachers.centerface import CenterFace
from training.detector.teachers.retinaface import RetinaFace
from training.detector.teachers.teacher import Teacher
from training.detector.teachers.yunet import YuNet

TEACHERS: dict[str, type[Teacher]] = {"yunet": YuNet, "centerface": CenterFace, "retinaface": RetinaFace}
