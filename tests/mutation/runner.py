"""Runs tests in forked processes, in which all libraries are loaded already.

There are two ways. A fault in the body of a function is planted by swapping the function's code in a process
that has imported fer_edge and collected the tests; this costs almost no time. A fault elsewhere (a constant,
a default, a decorator) takes effect only at the import, so a process that has not yet imported fer_edge
starts pytest again.
"""

import functools
import gc
import importlib
import itertools
import math
import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import hypothesis
import pytest

from tests.mutation.tests_of_functions import Reached, Recorder

# Nothing of fer_edge may be among them.
LIBRARIES = ("numpy", "cv2", "onnx", "onnxruntime", "hypothesis.extra.numpy", "skimage.data")
MEMORY_BYTES = 12 << 30
OPTIONS = [
    "-x",
    "-q",
    "--tb=no",
    "--assert=plain",
    "--capture=sys",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=",
]


class Runner:
    """The process without fer_edge, and by a pipe the one that holds the collected tests."""

    def __init__(self, test_files: list[str], limit_s: float | None) -> None:
        for name in LIBRARIES:
            importlib.import_module(name)
        sys.path.insert(0, str(Path.cwd()))
        # No search for the smallest failing example, no memory of earlier ones, and no limit of time.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", phases=phases, database=None, derandomize=True, deadline=None
        )
        hypothesis.settings.load_profile("mutation")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        # Later garbage collections need not visit the objects that exist now.
        gc.freeze()
        self._pipe, theirs = Pipe()
        if os.fork() == 0:
            self._pipe.close()
            pytest.main([*OPTIONS, *test_files], plugins=[_Collected(theirs)])
            os._exit(0)
        theirs.close()
        rows = self._pipe.recv()
        if rows is None:
            raise RuntimeError("the tests fail without any fault planted")
        self._limit_s = limit_s
        self._reached = Reached(
            {n: row[0] for n, row in rows.items()}, {n: row[1] for n, row in rows.items()}
        )

    def tests_for(self, file: str, line: int) -> tuple[list[str], list[str]]:
        """As Reached.tests_for; tests of other modules are included up to the limit."""
        own, rest = self._reached.tests_for(file, line)
        if self._limit_s is None:
            return own, rest
        ends = itertools.accumulate(self._reached.seconds[test] for test in rest)
        return own, [test for test, end in zip(rest, ends, strict=True) if end <= self._limit_s]

    def fails(self, tests: list[str], file: str, function: str, source: str) -> str | None:
        """Returns killed or timeout when a test fails with the fault (in this function), else None."""
        timeout_s = 10 + 3 * sum(self._reached.seconds[test] for test in tests)
        if not tests:
            return None
        if function:
            # An endless loop should not take as long as all tests together: each test has its own limit.
            limits = [math.ceil(5 + 10 * self._reached.seconds[test]) for test in tests]
            self._pipe.send((tests, limits, file, function, source, timeout_s))
            code = self._pipe.recv()
        else:
            code = _in_a_fork(lambda: _pytest_anew(tests), timeout_s)
        return {0: None, None: "timeout", -signal.SIGALRM: "timeout"}.get(code, "killed")

    def close(self) -> None:
        """Ends the other process."""
        self._pipe.send(None)


class _Collected:
    """A plugin of pytest that serves requests instead of running the collected tests."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Sends which test calls what; then plants one fault after the other, until None comes."""
        gc.freeze()
        record = Path("reached.pickle").resolve()
        failed = _in_a_fork(lambda: _record(session, record), timeout_s=1200) != 0
        self._pipe.send(None if failed else pickle.loads(record.read_bytes()))
        items = {item.nodeid: item for item in session.items}
        while (request := self._pipe.recv()) is not None:
            tests, limits, *fault, timeout_s = request
            timed = [(items[test], limit) for test, limit in zip(tests, limits, strict=True)]
            run = functools.partial(_run_swapped, session, timed, *fault)
            self._pipe.send(_in_a_fork(run, timeout_s))
        return True


def _record(session: pytest.Session, path: Path) -> int:
    recorder = Recorder()
    session.config.pluginmanager.register(recorder)
    _run_items(session, [(item, 0) for item in session.items])
    path.write_bytes(pickle.dumps(recorder.rows))
    return session.testsfailed


def _run_items(session: pytest.Session, timed: list[tuple[pytest.Item, int]]) -> None:
    """Runs tests, each with its limit in seconds (0: none), up to the first failure."""
    following = [item for item, _ in timed[1:]] + [None]
    for (item, limit_s), next_item in zip(timed, following, strict=True):
        signal.alarm(limit_s)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        if session.testsfailed:
            return


def _run_swapped(
    session: pytest.Session, timed: list[tuple[pytest.Item, int]], file: str, function: str, source: str
) -> int:
    module = sys.modules[file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")]
    found: Any = module
    for name in function.split("."):
        found = vars(found)[name]
    if isinstance(found, functools._lru_cache_wrapper):
        found.cache_clear()
    found = getattr(found, "__wrapped__", getattr(found, "fget", getattr(found, "__func__", found)))
    assert isinstance(found, FunctionType)
    found.__code__ = _code_of(compile(source, str(Path(file).resolve()), "exec"), function.split("."))
    _run_items(session, timed)
    return session.testsfailed


def _code_of(code: CodeType, names: list[str]) -> CodeType:
    for name in names:
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return code


def _pytest_anew(tests: list[str]) -> int:
    # The fault's byte code is not written to disk.
    sys.dont_write_bytecode = True
    pytest.main([*OPTIONS, f"--basetemp={Path.cwd().parent / 'tmp'}", *tests], plugins=[_Exit()])
    return 1


class _Exit:
    """A plugin of pytest that ends the process with the session, because no clean-up is needed."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Ends the process with pytest's exit code."""
        os._exit(exitstatus)


def _in_a_fork(work: Callable[[], int], timeout_s: float) -> int | None:
    """Does the work in a forked process; returns its exit code, None when it is late."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            code = int(bool(work()))
        finally:
            os._exit(code)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
