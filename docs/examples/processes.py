"""Pictures on all cores: one Recognizer for each process.

python processes.py PICTURE ...
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import cv2

import fer_edge

recognizer: fer_edge.Recognizer  # of this process


def open_recognizer() -> None:
    """Runs once in each process, before its first picture."""
    global recognizer
    recognizer = fer_edge.Recognizer(threads=1)


def labels_of_picture(path: str) -> str:
    frame = cv2.imread(path)
    if frame is None:
        return f"{path}: is not a picture"
    labels = [face.label for face in recognizer(frame)]
    return f"{path}: {', '.join(labels) or 'no face'}"


if __name__ == "__main__":
    # "fork" works too, because no Recognizer is made in this process before.
    context = multiprocessing.get_context(os.environ.get("START_METHOD", "spawn"))
    with ProcessPoolExecutor(2, mp_context=context, initializer=open_recognizer) as processes:
        for line in processes.map(labels_of_picture, sys.argv[1:]):
            print(line)
