"""Whole networks: the same weights, outputs and gradients with every implementation of their blocks."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from draws import SHIFT, normal
from precision import Expected, assert_accurate, expected
from torch import Tensor, nn
from torch.nn import functional as F

from fer_edge import kernels
from training.models import build, use_kernels
from training.models.dcif import Dcif
from training.models.tafe import Tafe

TINY: dict[str, dict[str, Any]] = {
    "tkfnet": {"size": 56, "width": 8, "fusion": "concatenate"},
    "tkfnet-nano": {"widths": (8, 16, 32), "dropout": 0.0},
    "conv-cut": {"variant": "atto", "size": 56, "tokens_width": 32, "dropout": 0.0, "layer_scale": 0.5},
}
# Draws of the signs of rounding errors; few, because a network takes long.
DRAWS = 4
every_network = pytest.mark.parametrize("name", TINY)


def network(name: str) -> nn.Module:
    torch.manual_seed(SHIFT)
    model = build(name, **TINY[name])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def pictures(model: nn.Module, count: int = 3) -> Tensor:
    return normal(count, 1, model.size, model.size, dtype=torch.float32, seed=1)


@functools.cache
def expected_answer(name: str, dtype: torch.dtype) -> Expected:
    """The expected output in evaluation, with blocks and convolutions in the dtype."""
    model = use_kernels(network(name), "reference").eval().double()
    x = pictures(model).double()
    with torch.no_grad():
        return expected(lambda: {"answer": model(x)}, dtype, draws=DRAWS)["answer"]


@pytest.mark.numeric
@pytest.mark.slow
@every_network
def test_evaluation(name, monkeypatch):
    # The answers may be equal to the last bit, so the calls show that the switch has an effect.
    called = set()

    def recorded(operation: str) -> Callable[..., Tensor]:
        run = getattr(kernels, operation)

        def call(*arguments: Any, **options: Any) -> Tensor:
            called.add((operation, options["kernels"]))
            return run(*arguments, **options)

        return call

    for operation in ("multi_branch_attention", "dcif", "token_attention"):
        monkeypatch.setattr(kernels, operation, recorded(operation))
    model = network(name).eval()
    x = pictures(model)
    with torch.no_grad():
        model(x)
        assert called == set()
        answer = use_kernels(model, "triton")(x)
    expected_calls = ["token_attention"] if name == "conv-cut" else ["multi_branch_attention", "dcif"]
    assert called == {(operation, "triton") for operation in expected_calls}
    assert_accurate("answer", answer, expected_answer(name, torch.float32))


@pytest.mark.numeric
@pytest.mark.slow
@every_network
def test_a_training_step(name):
    def step(kernels: str, dtype: torch.dtype) -> dict[str, Tensor]:
        model = use_kernels(network(name), kernels).train().to(dtype)
        loss = F.cross_entropy(model(pictures(model, 4).to(dtype)), torch.arange(4))
        loss.backward()
        statistics = {n: b for n, b in model.named_buffers() if b.is_floating_point()}
        return {n: p.grad for n, p in model.named_parameters()} | statistics | {"loss": loss.detach()}

    exact = expected(lambda: step("reference", torch.float64), torch.float32, draws=DRAWS)
    for key, values in step("triton", torch.float32).items():
        assert_accurate(key, values, exact[key])


@pytest.mark.numeric
@pytest.mark.slow
@pytest.mark.parametrize("name", ["tkfnet-nano", "conv-cut"])
def test_under_autocast_the_blocks_run_in_half_precision(name):
    model = use_kernels(network(name), "triton").eval()
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        answer = model(pictures(model))
    assert_accurate("answer", answer, expected_answer(name, torch.float16))


@pytest.mark.slow
@pytest.mark.compiles
@every_network
def test_compiled(name):
    model = use_kernels(network(name), "triton").eval()
    with torch.no_grad():
        answer = torch.compile(model, backend="aot_eager", fullgraph=True)(pictures(model))
    assert_accurate("answer", answer, expected_answer(name, torch.float32))


@pytest.mark.slow
@pytest.mark.compiles
def test_the_default_compiler_backend_accepts_an_operation():
    torch.manual_seed(SHIFT)
    block = use_kernels(Tafe(8), "triton").eval()
    x = normal(2, 8, 4, 4, dtype=torch.float32)
    with torch.no_grad():
        answer = torch.compile(block, fullgraph=True)(x)
        wide = use_kernels(block, "reference").double()
        exact = expected(lambda: {"answer": wide(x.double())}, torch.float32)
    assert_accurate("answer", answer, exact["answer"])


def replaced(block: nn.Module) -> None:
    next(block.parameters()).data = next(block.parameters()) + 1


def updated(block: nn.Module) -> None:
    with torch.no_grad():
        next(block.parameters()).mul_(1.5)


def loaded(block: nn.Module) -> None:
    block.load_state_dict({name: value * 1.5 for name, value in block.state_dict().items()})


def halved(block: nn.Module) -> None:
    block.half()


def stepped(block: nn.Module) -> None:
    """A step of an optimizer that does not increment version counters."""
    block.train()
    parameters = list(block.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    versions = [parameter._version for parameter in parameters]
    torch.optim.AdamW(parameters, lr=0.1, fused=True).step()
    assert versions == [parameter._version for parameter in parameters]
    block.eval()


@pytest.mark.parametrize("change", [replaced, updated, loaded, halved, stepped])
@pytest.mark.parametrize("make", [Tafe, Dcif])
def test_weights_are_folded_again_when_they_have_changed(make, change):
    block = make(32).eval()
    with torch.no_grad():
        first = block.folded()
        assert block.folded() is first
        change(block)
        again = block.folded()
        assert again is not first
        for kept, fresh in zip(again, block.fold(), strict=True):
            assert torch.equal(kept, fresh)
    assert all(weight.requires_grad for weight in block.folded()[:2])


@pytest.mark.parametrize("make", [Tafe, Dcif])
def test_new_values_are_written_to_the_memory_that_a_recorded_graph_reads(make):
    block = make(32).eval()
    parameters = {parameter.data_ptr() for parameter in block.parameters()}
    with torch.inference_mode():
        first = block.folded()
        updated(block)
        again = block.folded()
    made = [weight for weight in first if weight.data_ptr() not in parameters]
    assert len(made) == 2
    assert [weight.data_ptr() for weight in first] == [weight.data_ptr() for weight in again]


def test_replaced_weights_are_not_written_to():
    block = Dcif(32).eval()
    with torch.no_grad():
        block.folded()
        old = block.channel[3].weight.data
        before = old.clone()
        block.channel[3].weight.data = old + 1
        block.folded()
    assert torch.equal(old, before)


def test_parameters_made_in_inference_mode_are_folded_in_every_call():
    with torch.inference_mode():
        block = Dcif(32).eval()
        first = block.folded()
        block.load_state_dict({name: value * 1.5 for name, value in block.state_dict().items()})
        assert not torch.equal(block.folded().squeeze_w, first.squeeze_w)


def test_ablations_and_unknown_names_are_refused():
    model = build("tkfnet-nano", "triton", widths=(8, 8, 16), tafe="local").eval()
    with pytest.raises(ValueError, match="needs tafe='both', got 'local'"):
        model(pictures(model))
    with pytest.raises(ValueError, match="one of auto, triton, cuda, reference, got 'cudnn'"):
        build("tkfnet-nano", "cudnn")
