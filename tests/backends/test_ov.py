"""The OpenVINO backend with the real engine: `make test-openvino` installs it."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tiny import EXPRESSION_SPEC, detector_graph, expression_graph, scalar_graph

from fer_edge import Recognizer, models
from fer_edge.backends.warmup import warm_up
from fer_edge.device import processor
from fer_edge.models import ModelError

pytestmark = pytest.mark.openvino

WriteModel = Callable[..., Path]
# Prints the files that are written and the addresses that are connected to while OpenVINO answers.
LISTEN = """
import sys
def listen(event, arguments):
    if event == "socket.connect" or event == "open" and any(c in str(arguments[1]) for c in "wax+"):
        print(event, arguments)
sys.addaudithook(listen)
from fer_edge import Recognizer
import numpy as np
Recognizer(backend="openvino")(np.zeros((64, 64, 3), np.uint8))
"""


@pytest.fixture
def backend(expression_file: Path) -> Any:
    """The tiny expression network on one thread."""
    from fer_edge.backends.ov import OvBackend

    return OvBackend(models.load(expression_file, "expression"), 1)


def _run(backend: Any, brightness: list[float]) -> Any:
    """The logits of happiness, which are 8 times the brightness."""
    shape = (len(brightness), 1, 16, 16)
    backend.reserve(shape)[:] = np.array(brightness, np.float32)[:, None, None, None]
    return backend.run()[0]


def test_runs_on_the_reserved_array(backend: Any) -> None:
    logits = _run(backend, [0, 0.5, 1])
    # These numbers have no more than 8 bits, so that bfloat16 is exact.
    np.testing.assert_allclose(logits[:, 1], [0, 4, 8], atol=1e-5)
    np.testing.assert_allclose(logits[:, 0], 2)


def test_outputs_stay_when_the_network_runs_again(backend: Any) -> None:
    first = _run(backend, [1])
    _run(backend, [0])
    assert first[0, 1] == 8


def test_no_faces_are_a_batch_of_zero(backend: Any) -> None:
    assert _run(backend, []).shape == (0, 8)


def test_each_thread_has_its_own_input_and_request(backend: Any) -> None:
    wrong: list[float] = []

    def run(brightness: float) -> None:
        results = [_run(backend, [brightness])[0, 1] for _ in range(50)]
        wrong.extend(result for result in results if result != 8 * brightness)

    threads = [threading.Thread(target=run, args=(k / 4,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_child_of_a_fork_needs_a_network_of_its_own(backend: Any, expression_file: Path) -> None:
    from fer_edge.backends.ov import OvBackend

    _run(backend, [0.5])
    child = os.fork()
    if child == 0:
        try:
            _run(backend, [1])
        except RuntimeError as error:
            own = OvBackend(models.load(expression_file, "expression"), 1)
            os._exit(0 if "forked process" in str(error) and _run(own, [1])[0, 1] == 8 else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_networks_come_and_go(expression_file: Path, detector_file: Path) -> None:
    from fer_edge.backends.ov import OvBackend

    # With request.infer(), OpenVINO 2026.4 crashed here.
    files = models.load(expression_file, "expression"), models.load(detector_file, "detector")
    sides = 16, 64
    open_networks: list[tuple[OvBackend, int]] = []
    for number in range(40):
        kind = number % 2
        open_networks.append((OvBackend(files[kind], 1 + number % 3 // 2), sides[kind]))
        if len(open_networks) > 3:
            open_networks.pop(number % 3)[0].close()
        for network, side in open_networks:
            network.reserve((1, 1, side, side)).fill(0)
            network.run()


def test_info_names_engine_arithmetic_and_threads(backend: Any) -> None:
    import openvino

    info = backend.info()
    assert openvino.__version__.startswith(f"{info.pop('version')}-")
    bfloat16 = processor.has_bfloat16()
    arithmetic = "bfloat16" if bfloat16 else "float32"
    assert info == {"backend": "openvino", "provider": "CPU", "arithmetic": arithmetic, "threads": 1}


def test_a_closed_network(backend: Any) -> None:
    _run(backend, [1])
    backend.close()
    backend.close()
    with pytest.raises(RuntimeError, match="this Recognizer was closed"):
        backend.run()
    with pytest.raises(RuntimeError, match="this Recognizer was closed"):
        backend.sampled()


def test_memory_does_not_grow_with_the_sizes_of_the_input() -> None:
    from fer_edge.backends.ov import OvBackend

    network = OvBackend(models.load("face-luma", "detector"), 1)

    def run(count: int, seed: int) -> float:
        random = np.random.default_rng(seed)
        for _ in range(count):
            height, width = 32 * random.integers(2, 9, 2)
            network.reserve((1, 1, height, width)).fill(0)
            network.run()
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    # With OpenVINO's own bound, the second hundred would add 50 MB.
    after = run(100, 0)
    assert run(100, 1) - after < 15


def _refused(path: Path, message: str) -> None:
    from fer_edge.backends.ov import OvBackend

    model = models.load(path, "expression")
    with pytest.raises(ModelError, match=message):
        warm_up(OvBackend(model, 1), model)


def test_a_graph_that_the_engine_cannot_load(write_model: WriteModel) -> None:
    graph = expression_graph()
    graph.node[0].op_type = "NoSuchOperator"
    _refused(write_model(graph, EXPRESSION_SPEC), "openvino 20.* cannot load .*NoSuchOperator")


def test_a_network_with_a_fixed_batch(write_model: WriteModel) -> None:
    path = write_model(expression_graph(batch=1), EXPRESSION_SPEC)
    _refused(path, r"cannot run on float32 \[2, 1, 16, 16\]: Can.t set the input tensor")


def test_a_network_with_two_inputs_or_another_type(write_model: WriteModel) -> None:
    float_, double = TensorProto.FLOAT, TensorProto.DOUBLE
    a, b, y = (helper.make_tensor_value_info(name, float_, ["n"]) for name in "aby")
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "two", [a, b], [y])
    _refused(write_model(graph, EXPRESSION_SPEC), "must have one input, f32, got a: f32, b: f32")
    x, y = (helper.make_tensor_value_info(name, double, ["n"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "double", [x], [y])
    _refused(write_model(graph, EXPRESSION_SPEC), "must have one input, f32, got x: f64")


def test_a_network_that_returns_a_scalar(write_model: WriteModel) -> None:
    path = write_model(scalar_graph(), EXPRESSION_SPEC)
    _refused(path, r"must return 2 rows for as many inputs, got \[\]")


def test_a_network_that_returns_no_tensor(write_model: WriteModel) -> None:
    graph = expression_graph()
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    graph.node.append(helper.make_node("SequenceConstruct", ["logits"], ["wrapped"]))
    graph.output[0].CopyFrom(helper.make_value_info("wrapped", helper.make_sequence_type_proto(tensor)))
    _refused(write_model(graph, EXPRESSION_SPEC), "cannot load")


def test_a_network_of_another_role(write_model: WriteModel) -> None:
    _refused(
        write_model(detector_graph(), EXPRESSION_SPEC),
        "must return 2 rows for as many inputs|cannot run on float32",
    )


def test_auto_takes_it_only_where_the_processor_has_amx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "CPUINFO", file)
    for flags, expected in (
        ("avx2", "onnxruntime"),
        ("avx2 avx512f avx512_vnni", "onnxruntime"),
        ("avx2 avx512f avx512_bf16", "onnxruntime"),
        ("avx2 avx512f amx_bf16 amx_int8", "openvino"),
    ):
        file.write_text(f"flags : {flags}\n", "utf-8")
        with Recognizer(backend="auto") as recognizer:
            assert recognizer.info()["backend"] == expected


def test_a_pickled_recognizer_keeps_its_engine(astronaut: Any) -> None:
    recognizer = Recognizer(backend="openvino")
    copied = pickle.loads(pickle.dumps(recognizer))
    assert copied.info() == recognizer.info()
    assert copied(astronaut) == recognizer(astronaut)


def test_nothing_is_written_or_sent(tmp_path: Path) -> None:
    home = os.environ | {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", LISTEN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=home, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(tmp_path.iterdir())
