"""A Recognizer in other processes and as a copy: a new one with the same settings."""

import copy
import inspect
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import frame_with_cells

from fer_edge import Recognizer

MakeRecognizer = Callable[..., Recognizer]
FRAME = np.maximum(frame_with_cells((5, 5), grey=150), frame_with_cells((20, 20), (30, 8)))


def _through_pickle(recognizer: Recognizer) -> Recognizer:
    copied: Recognizer = pickle.loads(pickle.dumps(recognizer))
    return copied


COPIES = [_through_pickle, copy.copy, copy.deepcopy]


def test_processes_that_are_spawned(make_recognizer: MakeRecognizer) -> None:
    recognizer = make_recognizer(max_faces=2)
    frames = [FRAME, np.roll(FRAME, 40, axis=1), np.zeros_like(FRAME)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(recognizer, frames)
    assert found == [recognizer(frame) for frame in frames]
    assert [len(faces) for faces in found] == [2, 2, 0]


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_has_every_setting(
    copied: Callable[[Recognizer], Recognizer], detector_file: Path, expression_file: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(Recognizer).parameters.items():
        given[name] = parameter.default if isinstance(parameter.default, str) else 0.3
    given |= {
        "model": expression_file,
        "detector": detector_file,
        "threads": 2,
        "max_faces": 1,
        "min_face": 30,
        "engines": tmp_path,
        "fallback": True,
    }
    with Recognizer(**given) as recognizer, copied(recognizer) as other:
        make, arguments = other.__reduce__()
        assert (make.keywords, arguments) == (given, ())
        assert other(FRAME) == recognizer(FRAME)
        assert other.info() == recognizer.info()


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_lives_alone(
    copied: Callable[[Recognizer], Recognizer], make_recognizer: MakeRecognizer
) -> None:
    recognizer = make_recognizer()
    expected = recognizer(FRAME)
    with copied(recognizer) as other:
        recognizer.close()
        assert other(FRAME) == expected
    with pytest.raises(RuntimeError, match="this Recognizer was closed; make a new one"):
        copied(recognizer)


def test_a_relative_path_is_the_same_file_elsewhere(
    expression_file: Path, detector_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(expression_file.parent)
    with Recognizer(expression_file.name, detector=str(detector_file)) as recognizer:
        monkeypatch.chdir(tmp_path)
        with _through_pickle(recognizer) as other:
            assert other.info()["model"] == recognizer.info()["model"]


def test_a_relative_folder_of_engines_is_the_same_elsewhere(
    make_recognizer: MakeRecognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, _ = make_recognizer(engines="engines").__reduce__()
    assert make.keywords["engines"] == tmp_path / "engines"


def test_an_embedded_model_keeps_its_name() -> None:
    with Recognizer() as recognizer:
        make, _ = recognizer.__reduce__()
    # So that the process that unpickles may have its package in another folder.
    assert (make.keywords["model"], make.keywords["detector"]) == ("tkfnet-nano", "face-luma")


FORK = """
import os, signal, threading
from fer_edge import Recognizer
recognizer = Recognizer(threads=2)
other = Recognizer(threads=2)
# A call of another thread is running when the process forks.
begun, go_on = threading.Event(), threading.Event()
class Crops(list):
    def __iter__(self):
        begun.set(), go_on.wait()
        return super().__iter__()
thread = threading.Thread(target=other.recognize_crops, args=(Crops(),))
thread.start(), begun.wait()
if os.fork() == 0:
    signal.alarm(60)  # ends a child that waits for threads that it does not have
    other.close()
    recognizer = Recognizer(threads=2)
    os._exit(len(recognizer.labels))
go_on.set(), thread.join()
recognizer.close()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_child_may_replace_the_parents_recognizer() -> None:
    # In a process of its own, because this one has threads.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("8\n", "")
