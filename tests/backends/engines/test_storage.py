"""The folder of a cache: who may write, one builder at a time, full and read-only disks, killed processes."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from fer_edge.backends.engines import storage
from fer_edge.models import ModelError

# Holds the lock of the folder in argv[1] until its stdin closes.
HOLD = """
import sys
from pathlib import Path
from fer_edge.backends.engines.storage import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
# Writes 1 MB into argv[1], with files limited to 64 kB: the system refuses, as on a full disk.
WRITE_TOO_MUCH = """
import resource, signal, sys
from pathlib import Path
from fer_edge.backends.engines.storage import write
from fer_edge.models import ModelError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    write(Path(sys.argv[1]), bytes(1 << 20))
except ModelError as error:
    print(error)
"""


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Runs the test without the superuser's right to write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its owner can write to."""
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o500])
def test_private_folders(private: Path, mode: int) -> None:
    private.chmod(mode)
    storage.require_private(private)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_folders_that_others_can_write_to(private: Path, mode: int) -> None:
    private.chmod(mode)
    with pytest.raises(
        ModelError, match=rf"must be writable by its owner only, .*{mode:o}.* chmod go-w {private}"
    ):
        storage.require_private(private)


def test_folders_of_another_user(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(private, 12345, -1)
    else:
        # Only the superuser can give files away.
        monkeypatch.setattr(storage.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(
        ModelError, match=r"must belong to this user \(uid \d+\) or root, it belongs to uid \d+"
    ):
        storage.require_private(private)


@pytest.mark.usefixtures("ordinary_user")
def test_folders_of_root_are_trusted() -> None:
    storage.require_private(Path("/usr"))


def test_a_file_that_others_can_write_to_is_not_read(private: Path) -> None:
    path = private / "face.plan"
    path.write_bytes(b"plan")
    path.chmod(0o666)
    with pytest.raises(ModelError, match="must be writable by its owner only, its mode is 666"):
        storage.read_private(path)


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert storage.default_root() == tmp_path / "fer_edge/engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert storage.default_root() == Path("/home/me/.cache/fer_edge/engines")


def test_preparing_makes_a_private_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    storage.prepare(folder)
    storage.require_private(folder)
    assert list(folder.iterdir()) == []


def test_a_read_only_folder_is_seen_before_a_build(private: Path, ordinary_user: None) -> None:
    del ordinary_user
    with pytest.raises(
        ModelError, match=r"cannot write /usr/fer_edge_engines: Permission denied; choose another"
    ):
        storage.prepare(Path("/usr/fer_edge_engines"))


def test_a_folder_below_a_file(private: Path) -> None:
    (private / "file").touch()
    with pytest.raises(ModelError, match=r"cannot write .*/file/engines: Not a directory"):
        storage.prepare(private / "file" / "engines")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(private: Path) -> None:
    path = private / "face.plan"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_TOO_MUCH, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write {path}: File too large; choose another folder")
    assert path.read_bytes() == b"old"
    assert list(private.iterdir()) == [path]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_files_are_readable_by_all_and_writable_by_their_owner(private: Path) -> None:
    storage.write(private / "face.plan", b"plan")
    assert (private / "face.plan").stat().st_mode & 0o777 == 0o644
    assert storage.read_private(private / "face.plan") == b"plan"


@pytest.fixture
def holder(private: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder's lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, private], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("end", ["normally", "killed"])
def test_one_process_waits_for_another(
    private: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture, end: str
) -> None:
    def let_go() -> None:
        while not caplog.messages:
            time.sleep(0.01)
        if end == "killed":
            holder.kill()
        else:
            assert holder.stdin is not None
            holder.stdin.close()

    thread = threading.Thread(target=let_go, daemon=True)
    thread.start()
    with storage.locked(private):
        assert holder.wait(10) == (-signal.SIGKILL if end == "killed" else 0)
    assert caplog.messages == [f"waiting for another process that builds into {private}"]
    thread.join()


def test_a_cancelled_build_does_not_wait(private: Path, holder: subprocess.Popen[str]) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CancelledError), storage.locked(private, cancelled):
        pass
    assert holder.poll() is None


def test_what_does_not_wait_for_another_process(private: Path, holder: subprocess.Popen[str]) -> None:
    with storage.undisturbed(private) as free:
        assert not free
    message = f"another process is building into {private}; try again when it has ended"
    with pytest.raises(ModelError, match=message), storage.locked_at_once(private):
        pass
    holder.kill()
    holder.wait()
    with storage.undisturbed(private) as free:
        assert free
        # A build would have to wait for the reader.
        with pytest.raises(ModelError, match=message), storage.locked_at_once(private):
            pass


def test_a_folder_in_the_place_of_a_file_is_seen_before_a_build(private: Path) -> None:
    (private / "face.json").mkdir()
    with pytest.raises(ModelError, match=r"/face\.json must be a file, it is a folder; move it away"):
        storage.prepare(private, ("face.plan", "face.json"))
    with pytest.raises(ModelError, match=r"cannot delete .*/face\.json: Is a directory"):
        storage.delete(private / "face.json")


def test_nobody_waits_for_a_free_lock(private: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with storage.locked(private):
            pass
    assert caplog.messages == []
