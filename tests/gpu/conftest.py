"""The checks that need an NVIDIA GPU: `make test-cuda`. Nothing here may be skipped."""

import pytest
import torch

from fer_edge.kernels.dispatch import interpreted


@pytest.fixture(scope="session", autouse=True)
def device() -> torch.device:
    """The current CUDA device; float32 products are float32, not TF32."""
    if not torch.cuda.is_available():
        pytest.exit("make test-cuda needs an NVIDIA GPU and a CUDA build of PyTorch: none here", returncode=1)
    if interpreted():
        pytest.exit(
            "make test-cuda runs real kernels: unset TRITON_INTERPRET, run tests/gpu alone", returncode=1
        )
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", torch.cuda.current_device())
