"""The choice of an implementation, and the errors if it cannot run."""

import os
import re
import subprocess
import sys

import pytest
import torch

from fer_edge import kernels
from fer_edge.installation.repair_commands import install_extra
from fer_edge.kernels import dispatch
from fer_edge.kernels.random_weights import dcif_weights, multi_branch_weights, token_attention_weights

CPU, CUDA = "cpu", "cuda"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the interpreter, as in a user's process."""
    monkeypatch.delenv("TRITON_INTERPRET")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(dispatch, "installed", lambda name: name in request.param)


def test_every_module_has_the_operations_of_the_table():
    for name in dispatch.IMPLEMENTATIONS:
        if name == "cuda" and not dispatch.installed("cuda"):
            continue
        loaded = dispatch.module(name)
        for operation in set(dispatch.OPERATIONS) - set(dispatch.MISSING_OPERATIONS.get(name, ())):
            assert callable(getattr(loaded, operation))


@pytest.mark.usefixtures("plain")
def test_the_reference_runs_on_the_cpu():
    assert kernels.active("cpu") == dict.fromkeys(dispatch.OPERATIONS, "reference")


def test_the_interpreter_makes_triton_run_on_the_cpu():
    assert kernels.active("cpu") == dict.fromkeys(dispatch.OPERATIONS, "triton")


@pytest.mark.parametrize(
    ("installed", "gradients", "chosen"),
    [
        (("triton", "cuda"), False, "triton"),
        (("cuda",), False, "cuda"),
        (("cuda",), True, "reference"),
        ((), False, "reference"),
    ],
    indirect=["installed"],
)
@pytest.mark.usefixtures("installed", "plain")
def test_auto_takes_the_first_implementation_that_can_run(gradients, chosen):
    assert dispatch.choose("dcif", "auto", CUDA, gradients) == chosen


@pytest.mark.parametrize("installed", [("cuda",)], indirect=True)
@pytest.mark.usefixtures("installed", "plain")
def test_auto_skips_an_implementation_without_the_operation():
    assert dispatch.choose("filter_and_pool", "auto", CUDA, gradients=False) == "reference"


@pytest.mark.parametrize(
    ("installed", "name", "device", "gradients", "error", "words"),
    [
        ((), "triton", CUDA, False, ImportError, re.escape(install_extra("kernels"))),
        ((), "cuda", CUDA, False, ImportError, "FER_EDGE_CUDA=1"),
        (("triton",), "triton", CPU, False, RuntimeError, "CUDA device, got cpu; .*TRITON_INTERPRET=1"),
        (("cuda",), "cuda", CPU, False, RuntimeError, "CUDA device, got cpu; use reference"),
        (("cuda",), "cuda", CUDA, True, ValueError, "no gradients"),
        ((), "tensorrt", CUDA, False, ValueError, "one of auto, triton, cuda, reference, got 'tensorrt'"),
    ],
    indirect=["installed"],
)
@pytest.mark.usefixtures("installed", "plain")
def test_an_implementation_that_cannot_run_raises_the_reason(name, device, gradients, error, words):
    with pytest.raises(error, match=words):
        dispatch.choose("dcif", name, device, gradients)


def test_without_torch_the_error_has_the_pip_line():
    code = "import sys; sys.modules['torch'] = None\nimport fer_edge.kernels"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = f"ImportError: fer_edge.kernels needs PyTorch; {install_extra('kernels')}"
    assert done.stderr.splitlines()[-1] == message


def test_the_runtime_imports_neither_kernels_nor_torch():
    code = (
        "import sys, fer_edge; fer_edge.Recognizer(); "
        "print([m for m in sys.modules if 'torch' in m or 'kernels' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


X = torch.zeros(2, 16, 4, 4)
MAP = {
    "no map": (torch.zeros(16, 4, 4), TypeError, r"floating \[N, C, H, W\]"),
    "integers": (X.byte(), TypeError, "torch.uint8"),
    "odd channels": (torch.zeros(2, 12, 4, 4), ValueError, "multiple of 8 up to 2048"),
    "too many channels": (torch.zeros(1, 2056, 4, 4), ValueError, "2056"),
    "a wide map": (torch.zeros(1, 16, 4, 15), ValueError, "1 to 14 positions"),
    "other weights": (
        torch.zeros(2, 24, 4, 4),
        ValueError,
        r"squeeze_w must be \[1, 24\] for this map, got \[1, 16\]",
    ),
    "double": (X.double(), TypeError, "weights must be torch.float64 on cpu"),
}


@pytest.mark.parametrize(("x", "error", "words"), MAP.values(), ids=MAP.keys())
def test_dcif_refuses(x, error, words):
    weights = kernels.DcifWeights(*(w.float() for w in dcif_weights(16)))
    with pytest.raises(error, match=words):
        kernels.dcif(x, weights)


def test_autocast_leaves_float64_alone():
    with torch.autocast("cpu", torch.bfloat16):
        assert kernels.dcif(X.double(), dcif_weights(16)).dtype == torch.float64
        assert kernels.dcif(X, dcif_weights(16)).dtype == torch.bfloat16


WRONG = [
    ("dcif", dcif_weights(16), 16),
    ("multi_branch_attention", multi_branch_weights(16), 32),
    ("multi_branch_attention", kernels.fold_multi_branch(multi_branch_weights(16, concatenate=True)), 32),
    ("token_attention", token_attention_weights(16), 16),
]


@pytest.mark.parametrize(
    ("operation", "weights", "channels"), WRONG, ids=[type(w).__name__ for _, w, _ in WRONG]
)
def test_every_weight_of_another_shape_is_refused(operation, weights, channels):
    rest = (2,) if operation == "token_attention" else ()
    x = torch.zeros(1, channels, 4, 4, dtype=torch.float64)
    getattr(kernels, operation)(x, weights, *rest)
    for field in weights._fields:
        value = getattr(weights, field)
        wrong = weights._replace(**{field: torch.cat([value, value[..., :1]], dim=-1)})
        with pytest.raises(ValueError, match=r"must be \[.*\] for this map, got"):
            getattr(kernels, operation)(x, wrong, *rest)


def test_float64_goes_to_the_reference_and_nowhere_else():
    weights = dcif_weights(16)
    assert kernels.dcif(X.double(), weights).dtype == torch.float64
    with pytest.raises(TypeError, match=r"takes float32, float16 or bfloat16, got torch\.float64"):
        kernels.dcif(X.double(), weights, kernels="triton")


def test_other_operations_refuse():
    weights = token_attention_weights(16)
    with pytest.raises(ValueError, match="heads must divide the 16 channels, got 3"):
        kernels.token_attention(X.double(), weights, 3)
    with pytest.raises(ValueError, match="at most 64 positions, got 81"):
        kernels.token_attention(torch.zeros(1, 16, 9, 9).double(), weights, 2)
    with pytest.raises(ValueError, match="2 x C channels"):
        kernels.multi_branch_attention(torch.zeros(1, 8, 4, 4).double(), multi_branch_weights(8))
    with pytest.raises(ValueError, match=r"gate must be \[2, 16\] for this map, got \[2, 8\]"):
        kernels.filter_and_pool(X, torch.zeros(2, 8), torch.zeros(2, 7, 7))


PLANE, MATRICES, OUT = torch.zeros(9, 9, dtype=torch.uint8), torch.zeros(2, 2, 3), torch.zeros(2, 1, 4, 4)
WARPS = {
    "colour": (
        {"plane": torch.zeros(3, 9, 9, dtype=torch.uint8)},
        TypeError,
        r"plane must be uint8 \[H, W\]",
    ),
    "float plane": ({"plane": PLANE.float()}, TypeError, "contiguous rows, got torch.float32"),
    "matrices": ({"matrices": MATRICES.double()}, TypeError, r"matrices must be float32 \[N, 2, 3\]"),
    "bfloat16": ({"out": OUT.bfloat16()}, TypeError, "out must be float32, float16 or int8"),
    "count": ({"out": OUT[:1]}, ValueError, r"out must be \[2, 1, h, w\]"),
    "strided": ({"out": torch.zeros(2, 1, 4, 8)[..., ::2]}, ValueError, "must be contiguous"),
    "border": ({"border": "mirror"}, ValueError, "edge or constant, got mirror"),
}


@pytest.mark.parametrize(("change", "error", "words"), WARPS.values(), ids=WARPS.keys())
def test_warp_normalize_refuses(change, error, words):
    arguments = {"plane": PLANE, "matrices": MATRICES, "out": OUT, "border": "edge"} | change
    with pytest.raises(error, match=words):
        kernels.warp_normalize(**arguments, mean=0.0, scale=1.0)
