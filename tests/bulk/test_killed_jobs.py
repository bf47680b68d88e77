"""Real local Ray with two workers: whatever is killed, the results are those of an undisturbed job."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from running_jobs import (
    INTERVAL_S,
    PictureInPipe,
    descendants,
    is_running,
    listening_addresses,
    messages,
    parts_of,
    plain_results,
    read,
    run_job,
    started_job,
    wait_for_parts,
)

# 127.0.0.1 as IPv4, and as IPv4 within IPv6; the byte order is that of /proc/net.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
WORKERS = ("--workers", 2, "--block", 2)


def _wait_until_gone(processes: list[int]) -> None:
    while any(map(is_running, processes)):
        time.sleep(INTERVAL_S)


def test_killed_workers(folder: Path, models: tuple[object, ...], tmp_path: Path) -> None:
    # Two pictures in pipes: the reader of the first is killed once, that of the second each time.
    once, always = PictureInPipe(tmp_path / "once.png"), PictureInPipe(tmp_path / "always.png")
    sources = (once.path, folder / "1.png", always.path, folder / "2.png", folder / "3.png", folder)
    out = tmp_path / "results.parquet"
    # The job ends before the pool waits for its threads, so a test that fails ends them too.
    with ThreadPoolExecutor(2) as pool, started_job(*sources, "--out", out, *models, *WORKERS) as job:
        reader = once.wait_for_reader(job)
        assert reader is not None
        assert listening_addresses(descendants(job.pid)) == LOOPBACK
        once.kill_reader(reader)
        served = pool.submit(once.serve_all, (folder / "7.png").read_bytes(), job)
        kills = pool.submit(always.kill_all, job)
        output, errors = job.communicate()
    assert (job.returncode, messages(errors), served.result()) == (0, [], None)
    # Three times alone; before that in its block, which may have waited for the other one that was killed.
    assert 4 <= kills.result() <= 6
    assert output.startswith(f"{out}: 11 inputs, ")
    assert output.count("\n") == 1
    results = read(out)
    expected = plain_results(sorted(folder.iterdir()), models)
    by_source = {str(folder / f"{n}.png"): len(_rows(expected, folder / f"{n}.png")) for n in range(8)}
    assert by_source == {name: max(1, n % 4) for n, name in enumerate(by_source)}
    assert _rows(results, once.path) == _rows(expected, folder / "7.png")
    (lost,) = _rows(results, always.path)
    assert lost["error"] == "the process that read it was killed 3 times; is it damaged, or too large?"
    others = pc.invert(pc.is_in(results["source"], pa.array([str(once.path), str(always.path)])))
    assert sorted(map(str, results.filter(others).to_pylist())) == sorted(map(str, expected.to_pylist()))


def _rows(table: pa.Table, source: Path) -> list[dict[str, object]]:
    """The rows of one source, without its name."""
    rows = [row for row in table.to_pylist() if row["source"] == str(source)]
    return [{name: value for name, value in row.items() if name != "source"} for row in rows]


def test_a_killed_job_goes_on(folder: Path, models: tuple[object, ...], tmp_path: Path) -> None:
    last = PictureInPipe(tmp_path / "last.png")
    out = tmp_path / "results.parquet"
    arguments = (folder, last.path, "--out", out, *models, *WORKERS)
    with started_job(*arguments) as job:
        assert last.wait_for_reader(job) is not None
        parts = wait_for_parts(out, 4, job)
        os.killpg(job.pid, signal.SIGINT)
        output, errors = job.communicate()
    assert (job.returncode, output) == (130, "")
    assert messages(errors) == ["8 of 10 inputs are done; the same command goes on"]
    os.close(last._writer)
    with started_job(*arguments) as job:
        assert last.wait_for_reader(job) is not None
        second = run_job(*arguments)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr == f"fer_edge.bulk: {out} is being written by another process\n"
        processes = descendants(job.pid)
        job.kill()
        _wait_until_gone(processes)
    os.close(last._writer)
    assert parts_of(out) == parts
    with started_job(*arguments) as job:
        assert last.wait_for_reader(job) is not None
        assert parts_of(out) == parts
        last.serve((folder / "7.png").read_bytes())
        assert job.wait() == 0
    assert not out.with_name("results.parquet.parts").exists()
    sources = [*sorted(folder.iterdir()), folder / "7.png"]
    expected = plain_results(sources, models).to_pylist()
    for row in expected[-3:]:
        row["source"] = str(last.path)
    assert read(out).to_pylist() == expected
    before = out.stat()
    again = run_job(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert out.stat() == before


def test_sigterm_ends_a_job(
    models: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    waiting = PictureInPipe(tmp_path / "waiting.png")
    with started_job(waiting.path, "--out", tmp_path / "r.parquet", *models, "--workers", 1) as job:
        assert waiting.wait_for_reader(job) is not None
        processes = descendants(job.pid)
        job.terminate()
        assert job.wait() == 143
        _wait_until_gone(processes)
    assert not (tmp_path / "home" / ".ray").exists()


@pytest.fixture(autouse=True)
def _no_process_is_left() -> None:
    """Ray's processes of these tests are below them; none may live on."""
    yield
    assert [pid for pid in descendants(os.getpid())[1:] if "ray" in _name(pid)] == []


def _name(pid: int) -> str:
    return subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
