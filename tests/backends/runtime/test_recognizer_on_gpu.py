"""The whole Recognizer on a GPU that is a double: its faces are the CPU's, and nothing is left behind."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from driver_double import Driver
from tensorrt_double import TensorRT, write_engine
from tiny import frame_with_cells

from fer_edge import ModelError, Recognizer, models
from fer_edge.backends.base import Sampling
from fer_edge.backends.cuda import session
from fer_edge.backends.engines import plan_files
from fer_edge.backends.engines.key import Options
from fer_edge.backends.trt import BATCHES, MAX_GRAPHS

Make = Callable[..., Recognizer]
CELLS = [(5 * column + 2, 5 * row + 2) for row in range(6) for column in range(8)]


def frame_with_faces(count: int) -> np.ndarray:
    """A frame with this many faces, each on a background of its own grey."""
    ground = 2 * np.add.outer(np.arange(256) // 40 * 8, np.arange(320) // 40)
    return np.maximum(frame_with_cells(*CELLS[:count]), ground.astype(np.uint8))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 17, 32, 33, 48])
def test_any_number_of_faces(on_gpu: Make, make_recognizer: Make, count: int) -> None:
    frame = frame_with_faces(count)
    expected = make_recognizer(max_faces=100)(frame)
    assert len(expected) == count
    assert on_gpu(max_faces=100)(frame) == expected


@pytest.mark.parametrize("shape", [(1, 1), (7, 63), (240, 320), (480, 640), (1080, 1920)])
def test_any_frame(on_gpu: Make, make_recognizer: Make, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*shape, 3), np.uint8) for _ in range(3)]
    gpu, cpu = on_gpu(), make_recognizer()
    # Three times, because the second and third run of a size are a graph.
    for frame in (*frames, frames[0]):
        assert gpu(frame) == cpu(frame)


def test_without_the_extension_the_cpu_samples(
    on_gpu: Make, make_recognizer: Make, monkeypatch: pytest.MonkeyPatch, driver: Driver
) -> None:
    monkeypatch.setattr(session, "compiled_kernels", lambda: None)
    gpu, frame = on_gpu(), frame_with_faces(5)
    assert gpu(frame) == make_recognizer()(frame)
    assert gpu.info()["sampling"] == "cpu"
    assert driver.calls["warp_normalize"] == 0


def test_the_frame_is_uploaded_once(on_gpu: Make, driver: Driver) -> None:
    gpu, frame = on_gpu(), frame_with_faces(5)
    gpu(frame)
    before = driver.calls.copy()
    assert len(gpu(frame)) == 5
    made = driver.calls - before
    passes = made["warp_normalize"] - 1
    assert passes == 2
    # The plane, and the matrices of two passes and of the faces.
    assert made["memcpy_htod_async"] == 1 + 3
    # Into the input of each network.
    assert made["memcpy_dtod_async"] == 3
    # Crops and the outputs of three runs.
    assert made["memcpy_dtoh_async"] == 1 + 3


def test_after_the_second_frame_all_work_is_graphs_and_nothing_is_allocated(
    on_gpu: Make, driver: Driver
) -> None:
    gpu, frame = on_gpu(), frame_with_faces(5)
    for _ in range(2):
        gpu(frame)
    before, alive = driver.calls.copy(), driver.alive
    for _ in range(3):
        assert len(gpu(frame)) == 5
    made = driver.calls - before
    assert made["cuGraphLaunch"] == 3 * 3
    assert not {"execute_async_v3", "mem_alloc", "pagelocked_empty", "Event", "Stream"} & made.keys()
    assert driver.alive == alive


def test_a_graph_for_each_batch_size_from_the_beginning(on_gpu: Make, tensorrt: TensorRT) -> None:
    gpu = on_gpu()
    assert gpu.info()["graphs"] == len(BATCHES)
    assert sum(context.recorded for context in tensorrt.contexts) == len(BATCHES)
    assert [c for c in tensorrt.compiled if "eager" in c] == [f"eager ({b}, 1, 16, 16)" for b in BATCHES]


def test_frames_of_many_sizes_keep_few_graphs(on_gpu: Make, make_recognizer: Make, driver: Driver) -> None:
    gpu, cpu = on_gpu(min_face=16), make_recognizer(min_face=16)
    for side in range(32, 32 * 20, 32):
        frame = np.full((32, side), 200, np.uint8)
        for _ in range(3):
            assert gpu(frame) == cpu(frame)
    assert len(driver.graphs) == len(BATCHES) + MAX_GRAPHS
    # Input and outputs of each graph, and of one execution without a graph for each profile.
    # Of the thread, on the GPU and pinned: its frame, input and matrices of each network; pinned outputs.
    assert driver.alive["memory"] <= 2 * (len(BATCHES) + MAX_GRAPHS + 4) + 2 * (1 + 4) + 2


def test_a_batch_that_no_engine_takes_is_split(on_gpu: Make, make_recognizer: Make) -> None:
    frame, sampling = frame_with_faces(17), Sampling(0.0, 1 / 255, "constant")
    corners = np.array([[[1, 0, x], [0, 1, y]] for x, y in ((0, 0), (40, 80), (7, 160))], np.float32)
    answers = []
    for recognizer in (on_gpu(), make_recognizer()):
        detector = recognizer._networks.detector
        for _ in range(3):
            detector.sample(frame, corners, (96, 64), sampling)
            outputs = detector.run()
        detector.reserve((3, 1, 96, 64))[...] = detector.sampled().copy() / 2
        answers.append([*outputs, *detector.run()])
    for found, expected in zip(*answers, strict=True):
        assert found.shape[0] == 3
        np.testing.assert_array_equal(found, expected)


def test_dark_faces_are_stretched_on_the_gpu_too(on_gpu: Make, make_recognizer: Make) -> None:
    frame = frame_with_cells((10, 7), (30, 20))
    frame[frame == 0] = np.tile([3, 9], frame.size)[: (frame == 0).sum()]
    assert on_gpu()(frame) == make_recognizer()(frame)


def test_crops(on_gpu: Make, make_recognizer: Make) -> None:
    rng = np.random.default_rng(1)
    crops = [rng.integers(0, 256, (h, 40), np.uint8) for h in range(20, 60)]
    assert on_gpu().recognize_crops(crops) == make_recognizer().recognize_crops(crops)
    assert on_gpu().recognize_crops([]) == []


def test_closing_frees_everything_in_any_thread(on_gpu: Make, driver: Driver) -> None:
    gpu = on_gpu()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(gpu, [frame_with_faces(3)] * 6))
    assert driver.alive.keys() == {"memory", "streams", "graphs", "contexts"}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(gpu.close).result()
        assert pool.submit(lambda: driver.alive).result() == {}
    assert driver.alive == {}
    gpu.close()
    with pytest.raises(RuntimeError, match="this Recognizer was closed"):
        gpu(frame_with_faces(1))


def test_another_context_of_the_program_stays_current(on_gpu: Make, driver: Driver) -> None:
    # As PyTorch, which makes the primary context current in its threads and never takes it off.
    others = driver.Device(0).retain_primary_context()
    others.push()
    gpu = on_gpu()
    gpu(frame_with_faces(1))
    assert driver.stack == [others]
    gpu.close()
    assert driver.stack == [others]
    others.pop()


def test_frames_in_memory_that_the_gpu_shares(
    on_gpu: Make, make_recognizer: Make, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_EDGE_MAPPED_FRAMES", "1")
    gpu, frame = on_gpu(), frame_with_faces(3)
    assert gpu(frame) == make_recognizer()(frame)
    gpu(frame)
    before = driver.calls.copy()
    gpu(frame)
    # The matrices only.
    assert (driver.calls - before)["memcpy_htod_async"] == 3
    assert gpu.info()["frames"] == "read in place"


def test_info_says_what_runs(on_gpu: Make, engines: Path, expression_file: Path) -> None:
    gpu = on_gpu()
    info = gpu.info()
    assert (info["backend"], info["version"], info["provider"]) == (
        "tensorrt-rtx",
        "1.7.1.116",
        "Double of a GPU",
    )
    assert info["engine"] == str(engines / f"{plan_files.plan_name(models.read(expression_file))}.plan")
    assert (info["sampling"], info["frames"]) == ("gpu", "copied")
    assert "backend='tensorrt-rtx'" in repr(gpu)


def test_compiled_kernels_are_kept_beside_the_plan(on_gpu: Make, engines: Path, tensorrt: TensorRT) -> None:
    on_gpu().close()
    kept = sorted(path.stem for path in engines.glob("*.kernels"))
    assert kept == sorted(path.stem for path in engines.glob("*.plan"))
    assert len(kept) == 2
    compiled = len(tensorrt.compiled)
    on_gpu().close()
    assert [c for c in tensorrt.compiled[compiled:] if "eager" in c] == []


def test_a_read_only_folder_of_engines_will_do(
    on_gpu: Make, engines: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("the file system is read-only")

    monkeypatch.setattr(plan_files, "write_kernels", refuse)
    with caplog.at_level(logging.INFO, "fer_edge"):
        assert len(on_gpu()(frame_with_faces(2))) == 2
    assert "compiles the kernels of" in caplog.text
    assert not list(engines.glob("*.kernels"))


@pytest.mark.parametrize("wanted", [True, False])
def test_an_engine_with_plugins_and_one_without_are_refused_for_each_other(
    on_gpu: Make,
    engines: Path,
    detector_file: Path,
    expression_file: Path,
    wanted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for file in (detector_file, expression_file):
        write_engine(engines, models.read(file), Options(plugins=not wanted))
    monkeypatch.setenv("FER_EDGE_PLUGINS", str(int(wanted)))
    with pytest.raises(
        ModelError,
        match=rf"does not fit: options: wanted .*plugins={wanted}\), found .*plugins={not wanted}\)",
    ):
        on_gpu()


def test_the_workspace_of_a_build_does_not_matter(on_gpu: Make, engines: Path, expression_file: Path) -> None:
    write_engine(engines, models.read(expression_file), Options(workspace_mib=64))
    assert len(on_gpu()(frame_with_faces(2))) == 2


@pytest.mark.slow
def test_the_embedded_networks_on_a_photo(
    tensorrt: TensorRT, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import skimage

    for name, role in (("face-luma", "detector"), ("tkfnet-nano-float32", "expression")):
        path = models.WEIGHTS / f"{name}.onnx"
        write_engine(tmp_path / "engines", models.load(path, role))
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    # The default model is int8 for CPUs; for a GPU its float32 twin is taken.
    with (
        Recognizer(backend="tensorrt-rtx", engines=tmp_path / "engines", build="never") as gpu,
        Recognizer(models.WEIGHTS / "tkfnet-nano-float32.onnx") as cpu,
    ):
        assert gpu.info()["model"] == cpu.info()["model"]
        assert gpu.info()["model"]["precision"] == "float32"
        expected = cpu(photo)
        assert len(expected) == 1
        for _ in range(3):
            assert gpu(photo) == expected
