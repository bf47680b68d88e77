"""Bulk jobs as processes, and pictures in pipes, at which a worker waits until the test lets it read."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from fer_edge.bulk.job import FOR_PICTURES
from fer_edge.bulk.recognize import UnitRecognizer
from fer_edge.bulk.units import PictureFiles

# Between two looks at a process.
INTERVAL_S = 0.02


def command(*arguments: object) -> list[str]:
    """The command line of a job."""
    return [sys.executable, "-m", "fer_edge.bulk", *map(str, arguments)]


def run_job(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a job to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@contextlib.contextmanager
def started_job(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Starts a job in a group of its own; kills it in the end if it still runs."""
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        try:
            yield job
        finally:
            job.kill()


class PictureInPipe:
    """A picture whose reader waits until `serve`, or can be killed instead."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    def wait_for_reader(self, job: subprocess.Popen[str]) -> int | None:
        """Returns the process that waits for the picture, or None if the job ended without asking for it."""
        writer = None
        while job.poll() is None:
            if writer is None:
                # Fails as long as nobody reads.
                with contextlib.suppress(OSError):
                    writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            elif readers := [pid for pid in _processes_with(self.path) if pid != os.getpid()]:
                self._writer = writer
                return readers[0]
            time.sleep(INTERVAL_S)
        if writer is not None:
            os.close(writer)
        return None

    def serve(self, content: bytes) -> None:
        """Gives the picture to the reader."""
        os.set_blocking(self._writer, True)
        try:
            os.write(self._writer, content)
        finally:
            os.close(self._writer)

    def serve_all(self, content: bytes, job: subprocess.Popen[str]) -> None:
        """Gives the picture to each reader until the job ends: one whose process is killed is read again."""
        while (reader := self.wait_for_reader(job)) is not None:
            with contextlib.suppress(BrokenPipeError):
                self.serve(content)
            self._wait_until_closed(reader)

    def kill_all(self, job: subprocess.Popen[str]) -> int:
        """Kills each process that waits for the picture until the job ends; returns their number."""
        kills = 0
        while (reader := self.wait_for_reader(job)) is not None:
            self.kill_reader(reader)
            kills += 1
        return kills

    def kill_reader(self, reader: int) -> None:
        """Kills the process that waits for the picture."""
        os.kill(reader, signal.SIGKILL)
        # At once: to who reads it next, the end of this writer would be the end of the picture.
        os.close(self._writer)
        self._wait_until_closed(reader)

    def _wait_until_closed(self, reader: int) -> None:
        while reader in _processes_with(self.path):
            time.sleep(INTERVAL_S)


def _processes_with(path: Path) -> list[int]:
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == path:
                found.append(int(link.parts[2]))
    return found


def wait_for_parts(out: Path, count: int, job: subprocess.Popen[str]) -> dict[str, int]:
    """Waits until a running job has written so many parts; returns their names and times of change."""
    while len(parts := parts_of(out)) < count:
        assert job.poll() is None, job.communicate()
        time.sleep(INTERVAL_S)
    return parts


def parts_of(out: Path) -> dict[str, int]:
    """The names of the parts that a job has written, and their times of change."""
    parts = sorted(out.with_name(f"{out.name}.parts").glob("part-*.parquet"))
    return {part.name: part.stat().st_mtime_ns for part in parts}


def descendants(pid: int) -> list[int]:
    """The processes below a process, and itself."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def listening_addresses(processes: Sequence[int]) -> set[str]:
    """The addresses in hexadecimal digits on which processes accept connections."""
    addresses = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A":
                addresses[f"socket:[{columns[9]}]"] = columns[1].split(":")[0]
    found = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if (target := str(link.readlink())) in addresses:
                        found.add(addresses[target])
    return found


def read(path: Path) -> pa.Table:
    """The results, without the metadata of the job."""
    return parquet.read_table(path).replace_schema_metadata(None)


def messages(errors: str) -> list[str]:
    """The lines of stderr without the progress, which a slow machine shows."""
    return [line for line in errors.splitlines() if not line.endswith(" s left")]


def plain_results(pictures: Sequence[Path], models: Sequence[object]) -> pa.Table:
    """The results of pictures without Ray and files, in one process."""
    settings = {"model": models[1], "detector": models[3], "threads": None}
    recognize = UnitRecognizer(settings, FOR_PICTURES, ".", {})
    return recognize(PictureFiles(tuple(map(str, pictures))))
