"""Everything that we call of TensorRT exists in each version that Jetson has, and in TensorRT for RTX.

mypy keeps our calls within `surface.py`. These tests compare `surface.py` with the real bindings.
"""

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorrt_classes import CLASSES, LATER, ONLY_IN, OVERRIDDEN

from fer_edge.backends.engines import surface
from fer_edge.backends.engines.products import TENSORRT, load, version_numbers
from fer_edge.backends.engines.surface import PRECISIONS, Bindings

pytestmark = pytest.mark.engines

# Prints {class: {member: docstring}} of the classes in CLASSES and OVERRIDDEN.
DESCRIBE = """
import json, sys
import {module} as bindings
def members(kind):
    return {{name: str(getattr(kind, name).__doc__) for name in dir(kind)}}
names = json.loads({names!r})
print(json.dumps({{name: members(getattr(bindings, name)) for name in names if hasattr(bindings, name)}}))
"""
NAMES = json.dumps([*CLASSES.values(), *OVERRIDDEN, "DataType"])
Found = dict[str, dict[str, str]]


def _members(protocol: type) -> set[str]:
    """The attributes and methods of a protocol of surface.py."""
    methods = {name for name, value in vars(protocol).items() if inspect.isfunction(value)}
    return {n for n in methods | vars(protocol).get("__annotations__", {}).keys() if not n.startswith("_")}


def _wanted(product: str) -> Iterator[tuple[str, str]]:
    """(class, member) of everything that a product must have."""
    other = {pair for name, pairs in ONLY_IN.items() if name != product for pair in pairs}
    if product == "tensorrt":
        other |= LATER
    for protocol, name in CLASSES.items():
        if (name, "") not in other:
            yield from ((name, m) for m in sorted(_members(protocol)) if (name, m) not in other)
    yield from ((name, m) for name, methods in OVERRIDDEN.items() for m in methods)
    yield from (("DataType", name) for name in PRECISIONS)


def _missing(found: Found, product: str) -> list[tuple[str, str]]:
    return [(name, member) for name, member in _wanted(product) if member not in found.get(name, {})]


def _parameters(docstring: str, name: str) -> int | None:
    """How many arguments pybind11's docstring of a method names; None if it is overloaded or none."""
    signature = re.match(rf"\s*{name}\(self: [^,)]*(.*)\) ->", docstring)
    return len(re.findall(r", (\w+): ", signature[1])) if signature else None


@pytest.fixture
def of_tensorrt(ask: Callable[[str], Any]) -> Found:
    """The API of one version of TensorRT."""
    return ask(DESCRIBE.format(module="tensorrt_bindings", names=NAMES))


@pytest.fixture(scope="session")
def of_tensorrt_rtx(tensorrt: ModuleType) -> Found:
    """The API of TensorRT for RTX."""
    return {
        name: {member: str(getattr(kind, member).__doc__) for member in dir(kind)}
        for name in json.loads(NAMES)
        if (kind := getattr(tensorrt, name, None))
    }


def test_tensorrt_has_what_we_call(of_tensorrt: Found) -> None:
    assert _missing(of_tensorrt, "tensorrt") == []


def test_tensorrt_for_rtx_has_what_we_call(of_tensorrt_rtx: Found) -> None:
    assert _missing(of_tensorrt_rtx, "tensorrt-rtx") == []


def test_what_only_tensorrt_for_rtx_has_is_in_the_table(of_tensorrt: Found) -> None:
    for name, member in ONLY_IN["tensorrt-rtx"]:
        assert name not in of_tensorrt if member == "" else member not in of_tensorrt.get(name, {})


def test_methods_take_as_many_arguments(of_tensorrt: Found, of_tensorrt_rtx: Found) -> None:
    compared = 0
    for found, product in ((of_tensorrt, "tensorrt"), (of_tensorrt_rtx, "tensorrt-rtx")):
        wanted = set(_wanted(product))
        for protocol, name in CLASSES.items():
            for method in _members(protocol) & vars(protocol).keys():
                if (name, method) not in wanted:
                    continue
                ours = len(inspect.signature(getattr(protocol, method)).parameters) - 1
                theirs = _parameters(found[name][method], method)
                # `parse` has an optional path.
                assert theirs is None or ours == theirs or (method, theirs) == ("parse", 2), (name, method)
                compared += theirs is not None
    assert compared >= 40


def test_every_member_of_the_surface_is_used() -> None:
    room = Path(inspect.getfile(surface)).parent
    used = {
        node.attr
        for path in (*room.rglob("*.py"), *room.parent.glob("trt*.py"))
        if path.name != "surface.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    # By name, from the table of targets.
    used |= {"SM75", "CURRENT"}
    declared = {member for protocol in (*CLASSES, Bindings) for member in _members(protocol)}
    assert declared - used == set()


def test_each_class_of_the_surface_is_in_the_table() -> None:
    protocols = {
        value
        for value in vars(surface).values()
        if inspect.isclass(value)
        and getattr(value, "_is_protocol", False)
        and value.__module__ == surface.__name__
    }
    assert protocols - {surface.Member, Bindings} == CLASSES.keys()


def test_our_code_runs_on_the_bindings_until_it_needs_a_gpu(ask: Callable[[str], Any]) -> None:
    answers = ask(
        """
import json, threading
from fer_edge.backends.engines import native, products, progress
from fer_edge.models import ModelError
bindings = products.load(products.TENSORRT)
errors = []
for make in (native.make_builder, native.make_runtime):
    try:
        make(bindings)
    except ModelError as error:
        errors.append(str(error))
seen = []
def build(monitor):
    assert isinstance(monitor, bindings.IProgressMonitor)
    monitor.phase_start("Building engine", None, 2)
    going_on = monitor.step_complete("Building engine", 0)
    monitor.phase_finish("Building engine")
    return going_on
going_on = progress.build_with_progress(bindings, build, seen.append, threading.Event())
logger = native.logger_of(bindings)
assert isinstance(logger, bindings.ILogger)
logger.log(bindings.ILogger.ERROR, "broken")
logger.log(bindings.ILogger.INFO, "fine")
shares = [progress.share for progress in seen]
print(json.dumps([bindings.__version__, errors, going_on, shares, native.reasons_of(bindings)]))
"""
    )
    version, errors, going_on, shares, reasons = answers
    assert TENSORRT.least <= version_numbers(version) < TENSORRT.below
    assert errors == [
        f"TensorRT {version} cannot make its {what}: is there a GPU, and a driver that fits?"
        for what in ("builder", "runtime")
    ]
    assert (going_on, shares, reasons) == (True, [0, 0.5, 1], "broken")


def test_a_plan_for_this_machine_without_a_gpu_is_one_error(ask: Callable[[str], Any]) -> None:
    code = """
import io, json, sys
from fer_edge.backends.engines import plans
from fer_edge.cli import main
plans.this_gpu = lambda: None
sys.stderr = io.StringIO()
code = main(["build", "face-luma", "--for", "this", "--out", "/nowhere"])
print(json.dumps([code, sys.stderr.getvalue()]))
"""
    code, message = ask(code)
    assert code == 1
    assert message.startswith("fer-edge: a plan for the GPU of this machine needs a GPU and its driver")


def test_tensorrt_for_rtx_is_loaded(tensorrt: ModuleType) -> None:
    from fer_edge.backends.engines.products import TENSORRT_RTX

    assert load(TENSORRT_RTX).__version__ == tensorrt.__version__
