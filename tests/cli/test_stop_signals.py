"""Signals while a command writes a file: they end it, but not in the middle of an import."""

import importlib
import os
import signal
import time
from pathlib import Path

import pytest

from fer_edge.cli.stop_signals import TERMINATED, graceful_stop

MODULE = "import os\nos.kill(os.getpid(), {number})\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_is_not_interrupted(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"sends_{number.name}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(number=int(number)))
    monkeypatch.syspath_prepend(tmp_path)
    steps = []
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught, graceful_stop():
        importlib.import_module(name)
        steps.append("imported")
        time.sleep(60)
        steps.append("slept")
    assert steps == ["imported"]
    if number == signal.SIGTERM:
        assert caught.value.args == (TERMINATED,)
    else:
        assert caught.type is KeyboardInterrupt


def test_a_signal_outside_of_an_import_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), graceful_stop():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        raise AssertionError


def test_after_the_first_one_others_are_ignored_until_the_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    cleaned = []
    with pytest.raises(KeyboardInterrupt), graceful_stop():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            cleaned.append("file")
    assert cleaned == ["file"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_timer_of_the_program_goes_on() -> None:
    rang = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rang.append("alarm"))
    others = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with graceful_stop():
            pass
        time.sleep(0.5)
    finally:
        # That of pytest's time limit.
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *others)
    assert rang == ["alarm"]
