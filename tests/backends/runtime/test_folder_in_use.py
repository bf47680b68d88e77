"""Another process builds into the folder of the engines: nothing waits for it longer than it must."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from made_plans import RTX_4090

from fer_edge import Recognizer
from fer_edge.backends.engines import plans, storage

Make = Callable[..., Recognizer]
# Fails the test rather than hanging it; nothing is measured.
PATIENCE_S = 30.0


def _close(recognizer: Recognizer) -> bool:
    """Closes it in a thread; returns whether that came to an end."""
    thread = threading.Thread(target=recognizer.close, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return not thread.is_alive()


def test_closing_ends_the_wait_for_another_build(
    on_gpu: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "this_gpu", lambda: RTX_4090)
    waiting = threading.Event()
    monkeypatch.setattr(
        storage._logger, "warning", lambda text, *_: waiting.set() if text.startswith("waiting") else None
    )
    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    with storage.locked(folder):
        recognizer = on_gpu(engines=folder, build="background")
        assert waiting.wait(PATIENCE_S)
        assert _close(recognizer)


def test_compiled_kernels_are_not_kept_then(on_gpu: Make, engines: Path) -> None:
    with storage.locked(engines):
        recognizer = on_gpu()
        assert _close(recognizer)
    assert not list(engines.glob("*.kernels"))
    on_gpu().close()
    assert len(list(engines.glob("*.kernels"))) == 2
