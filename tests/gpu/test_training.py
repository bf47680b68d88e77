"""Training with the kernels follows training with the reference; graphs replay what was recorded."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models import build, use_kernels

NETWORKS = {
    "tkfnet": {"depth": 18, "size": 112},
    "tkfnet-nano": {},
    "conv-cut": {"variant": "atto", "size": 112, "tokens_width": 256, "layer_scale": 0.1},
}
STEPS = 40


def network(name: str, kernels: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    options: dict[str, Any] = {"dropout": 0.0, **NETWORKS[name]}
    return build(name, kernels, **options).to(device, memory_format=torch.channels_last)


def losses(model: nn.Module, precision: torch.dtype | None, device: torch.device) -> Tensor:
    """Of a task that can be learnt: which of eight fixed patterns a noisy picture holds."""
    draw = torch.Generator(device).manual_seed(1)
    patterns = torch.randn(8, 1, model.size, model.size, generator=draw, device=device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    found = []
    for _ in range(STEPS):
        labels = torch.randint(8, (64,), generator=draw, device=device)
        noise = torch.randn(64, *patterns.shape[1:], generator=draw, device=device)
        with torch.autocast(device.type, precision or torch.bfloat16, enabled=precision is not None):
            loss = F.cross_entropy(model(patterns[labels] + noise).float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.parametrize("precision", [None, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_curve_is_that_of_the_reference(name, precision, device):
    expected = losses(network(name, "reference", device).train(), precision, device)
    found = losses(network(name, "triton", device).train(), precision, device)
    assert expected[-5:].mean() < 0.7 * expected[:5].mean(), "the task is not being learnt"
    # Rounding differences grow from step to step; the first ones are nearly the same, all are close.
    tolerance = 1e-4 if precision is None else 2e-2
    torch.testing.assert_close(found[:5], expected[:5], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("images", [1, 8])
def test_a_network_in_a_graph_answers_as_outside(name, images, device):
    model = network(name, "triton", device).half().eval()
    x = torch.randn(images, 1, model.size, model.size, device=device, dtype=torch.float16)
    with torch.inference_mode():
        expected = model(x)
        reference = use_kernels(model, "reference")(x)
        use_kernels(model, "triton")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = model(x)
        graph.replay()
    assert torch.equal(answer, expected)
    torch.testing.assert_close(answer.softmax(1), reference.softmax(1), rtol=0, atol=5e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_compiled_network_answers_as_an_eager_one(name, device):
    model = network(name, "triton", device).eval()
    x = torch.randn(4, 1, model.size, model.size, device=device)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, fullgraph=True)(x), model(x), rtol=1e-3, atol=1e-3)
