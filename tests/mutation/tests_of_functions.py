"""Which tests reach which function."""

import os
import sys
import threading
import time
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

# These start a subprocess, whose calls are not recorded.
IN_A_PROCESS = ("subprocess", "in_a_process", "run_with_target")


class Reached(NamedTuple):
    """Test -> its seconds, and the functions it calls as "file:first line"."""

    seconds: dict[str, float]
    functions: dict[str, set[str]]

    def tests_for(self, file: str, line: int) -> tuple[list[str], list[str]]:
        """Returns the tests of a function (line 0: of a file): those of its own test module, the rest."""
        prefix = f"{file}:{line}" if line else f"{file}:"
        path = Path("tests", *Path(file).parts[1:])
        # fer_edge/ops/reference.py is tested by operation: there the whole folder is its own.
        own = str(path.parent / f"test_{path.stem}") if path.parent.name != "ops" else str(path.parent)
        tests = [
            test
            for test, functions in self.functions.items()
            if any(f == prefix or (not line and f.startswith(prefix)) for f in functions)
            or (not line and test.startswith(own))
            # Calls in a subprocess are not recorded: the test is run for all files that its folder mirrors.
            or ("*" in functions and Path(test).parent == path.parent)
        ]
        tests.sort(key=lambda test: ("*" in self.functions[test], self.seconds[test]))
        first = [test for test in tests if test.startswith(own) and "*" not in self.functions[test]]
        return first, [test for test in tests if test not in first]


class Recorder:
    """A plugin of pytest that notes which functions of fer_edge each test calls, and how long it takes."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, set[str]]] = {}
        self._package = str(Path("fer_edge").resolve()) + os.sep
        self._called: set[CodeType] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Runs a test under a tracer that receives each new frame, but no lines."""
        self._called = set()
        start = time.perf_counter()
        threading.settrace(self._note)
        sys.settrace(self._note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            root = Path(self._package).parent
            codes = [code for code in self._called if code.co_filename.startswith(self._package)]
            found = {f"{Path(code.co_filename).relative_to(root)}:{code.co_firstlineno}" for code in codes}
            if {*item.fixturenames, *item.function.__code__.co_names} & set(IN_A_PROCESS):
                found.add("*")
            self.rows[item.nodeid] = (time.perf_counter() - start, found)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self._called.add(frame.f_code)
