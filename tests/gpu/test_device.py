"""The networks on a real GPU, against the CPU: `make test-cuda`, with TensorRT or TensorRT for RTX installed.

Tolerances: both compute float32 without TF32, and sum in different orders. The longest sum has 2304 terms (a
convolution of 256 channels of 3 x 3); its error grows with the square root of that, 48 * 2**-24 of the sum's
magnitude per layer, about 20 layers, logits below 20: below 2e-3. A box moves by the exponential of such a
difference, times its size: below a pixel.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

from benchmarks.pasted_faces import frame_with_faces
from fer_edge import Face, Recognizer, models, ops
from fer_edge.backends.base import Sampling
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, installed_version
from fer_edge.backends.trt import BATCHES

PROBABILITY, PIXELS = 2e-3, 1.0
Make = Callable[..., Recognizer]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the engines, which the first Recognizer builds."""
    folder = tmp_path_factory.mktemp("engines")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def on_gpu(engines: Path, device: torch.device) -> Iterator[Make]:
    """Makes recognisers on the GPU."""
    products = [p.name for p in (TENSORRT, TENSORRT_RTX) if installed_version(p)]
    assert products, "install TensorRT or TensorRT for RTX, see docs/deploy.md"
    made: list[Recognizer] = []

    def make(**settings: Any) -> Recognizer:
        made.append(Recognizer(**{"backend": products[0], "engines": engines, "build": "block", **settings}))
        return made[-1]

    yield make
    for recognizer in made:
        recognizer.close()


@pytest.fixture(scope="module")
def cpu() -> Iterator[Recognizer]:
    """The same networks on the CPU."""
    with Recognizer(models.WEIGHTS / "tkfnet-nano-float32.onnx", threshold=0.3) as recognizer:
        yield recognizer


def assert_same(found: list[Face], expected: list[Face]) -> None:
    assert len(found) == len(expected)
    for face in expected:
        same = min(found, key=lambda other: np.abs(np.subtract(other.box, face.box)).max())
        assert np.abs(np.subtract(same.box, face.box)).max() < PIXELS
        ours, theirs = (np.array(list(f.probabilities.values())) for f in (same, face))
        # The crop moves with the landmarks, so the bound is that of the logits plus a fraction of a pixel.
        assert np.abs(ours - theirs).max() < 5 * PROBABILITY
        assert same.abstain_reason == face.abstain_reason


@pytest.mark.parametrize("count", [0, 1, 4, 16])
@pytest.mark.parametrize("size", [(480, 640), (720, 1280)])
def test_faces_are_those_of_the_cpu(on_gpu: Make, cpu: Recognizer, size: tuple[int, int], count: int) -> None:
    frame = frame_with_faces(*size, count)
    gpu = on_gpu(threshold=0.3)
    # The third run of a size is a graph.
    for _ in range(3):
        assert_same(gpu(frame), cpu(frame))


def test_a_photo(on_gpu: Make, cpu: Recognizer) -> None:
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    gpu = on_gpu(threshold=0.3)
    assert_same(gpu(photo), cpu(photo))
    assert gpu.info()["sampling"] == "gpu"
    assert gpu.info()["graphs"] >= len(BATCHES)


def test_every_batch_size_has_the_results_of_one(on_gpu: Make) -> None:
    gpu = on_gpu()
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (64, 64), np.uint8) for _ in range(33)]
    alone = [gpu.recognize_crops([crop])[0] for crop in crops]
    for count in (2, 3, 5, 8, 16, 31, 32, 33):
        for face, expected in zip(gpu.recognize_crops(crops[:count]), alone, strict=False):
            ours, theirs = (np.array(list(f.probabilities.values())) for f in (face, expected))
            assert np.abs(ours - theirs).max() < PROBABILITY


def test_the_gpu_samples_as_the_cpu_to_the_last_bit(on_gpu: Make) -> None:
    gpu = on_gpu()
    plane = np.random.default_rng(1).integers(0, 256, (480, 641), np.uint8)
    matrices = np.array([[[3.1, 0.2, 5], [-0.2, 3.1, 9]], [[0.7, 0, -3], [0, 0.7, 400]]], np.float32)
    sampling = Sampling(127.5, 1 / 58, "edge")
    gpu._networks.expression.sample(plane, matrices, (gpu._model.spec.size,) * 2, sampling)
    found = gpu._networks.expression.sampled().copy()
    expected = np.empty_like(found)
    ops.warp_normalize(plane, matrices, expected, mean=127.5, scale=1 / 58, border="edge")
    np.testing.assert_array_equal(found, expected)


def test_a_graph_repeats_itself(on_gpu: Make) -> None:
    gpu = on_gpu(threshold=0.3)
    frame = frame_with_faces(480, 640, 4)
    for _ in range(3):
        expected = gpu(frame)
    for _ in range(100):
        assert gpu(frame) == expected


def test_a_tensor_of_pytorch_is_read_in_place(on_gpu: Make, device: torch.device) -> None:
    gpu = on_gpu(threshold=0.3)
    grey = ops.luma_from_bgr(frame_with_faces(480, 640, 4))
    for _ in range(3):
        expected = gpu(grey)
    tensor: Any = torch.from_numpy(grey).to(device)
    assert gpu(tensor) == expected
    padded: Any = torch.zeros(480, 700, dtype=torch.uint8, device=device)
    padded[:, :640] = tensor
    assert gpu(padded[:, :640]) == expected


def test_threads_beside_pytorch(on_gpu: Make, device: torch.device) -> None:
    gpu = on_gpu(threshold=0.3)
    frames = [frame_with_faces(480, 640, n) for n in (0, 1, 4, 16)]
    for frame in frames * 2:
        gpu(frame)
    expected = [gpu(frame) for frame in frames]

    def run(index: int) -> list[Face]:
        a = torch.randn(512, 512, device=device)
        for _ in range(10):
            a = (a @ a).sigmoid()
            faces = gpu(frames[index])
            assert faces == expected[index]
        assert a.isfinite().all()
        return faces

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == expected
    assert torch.ones(3, device=device).sum().item() == 3


def test_closing_gives_the_memory_back(on_gpu: Make, device: torch.device) -> None:
    frame = frame_with_faces(720, 1280, 4)

    def cycle() -> int:
        with on_gpu() as gpu:
            for _ in range(3):
                gpu(frame)
        torch.cuda.synchronize()
        return int(torch.cuda.mem_get_info(device)[0])

    cycle()
    free = cycle()
    for _ in range(4):
        # The driver gives memory in blocks of 2 MiB.
        assert cycle() >= free - 2 * 2**20


def test_full_memory_falls_back_to_the_cpu(on_gpu: Make, cpu: Recognizer, device: torch.device) -> None:
    gpu = on_gpu(threshold=0.3, fallback=True, min_face=16)
    with Recognizer(models.WEIGHTS / "tkfnet-nano-float32.onnx", threshold=0.3, min_face=16) as same:
        frame = frame_with_faces(1440, 2560, 4)
        expected = same(frame)
    kept = [block for size in (2**30, 2**26, 2**22, 2**20) for block in _all_memory(size, device)]
    assert gpu(frame) == expected
    del kept
    torch.cuda.empty_cache()
    assert gpu.info()["backend"] == "onnxruntime"
    assert "its memory is full" in gpu.info()["gpu"]


def _all_memory(size: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Blocks of this size until there is no more."""
    while torch.cuda.mem_get_info(device)[0] > size:
        try:
            block = torch.empty(size, dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError:  # the rest is in pieces
            return
        yield block


def test_memory_mapped_frames(on_gpu: Make, cpu: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_EDGE_MAPPED_FRAMES", "1")
    frame = frame_with_faces(480, 640, 4)
    gpu = on_gpu(threshold=0.3)
    assert_same(gpu(frame), cpu(frame))
    assert gpu.info()["frames"] == "read in place"


def test_kept_kernels_make_the_next_start_shorter(on_gpu: Make, engines: Path) -> None:
    on_gpu().close()
    if installed_version(TENSORRT) is None:
        assert list(engines.glob("*.kernels"))


def test_a_session_alone_frees_its_context(device: torch.device) -> None:
    for _ in range(20):
        Session().close()
    assert torch.ones(3, device=device).sum().item() == 3
