"""Starting from an exported model, whose batch normalisations were folded into other layers at export.

The layer before a normalisation keeps the folded weights. The normalisation gets the mean and variance of its
input on real pictures, and a scale and a shift that cancel them. In evaluation, the network computes what the
file computes; in training, every normalisation works as usual.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_edge.backends.ort import open_session

BATCH = 256
TOLERANCE = 1e-2  # of a logit
Norm = nn.modules.batchnorm._BatchNorm


def restore_batchnorm(model: nn.Module, path: Path, x: Tensor) -> None:
    """Loads the weights of an ONNX file that export.onnx_from_checkpoint made from the same network.

    ``x`` float32 [n, 1, S, S] are some hundred network inputs, on which the statistics are measured. Raises
    ValueError when the file is of another network, or of one whose normalisations do not fold (Conv-cut):
    training can then only start from its checkpoint.
    """
    import onnx
    from onnx import numpy_helper

    stored = {i.name: numpy_helper.to_array(i).copy() for i in onnx.load(path).graph.initializer}
    weights = {name: torch.from_numpy(value) for name, value in stored.items()}
    model.eval()
    before = _layers_before_norms(model, x[:2])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if isinstance(model.get_submodule(name.rpartition(".")[0]), Norm):
                continue
            if name not in weights or weights[name].shape != parameter.shape:
                got = list(weights[name].shape) if name in weights else "nothing"
                raise ValueError(
                    f"{path} does not fit: {name} must be {list(parameter.shape)}, got {got}; choose the "
                    "config of the network that the file was exported from, or start from its checkpoint"
                )
            parameter.copy_(weights[name])
        for norm, layer in before.items():
            # A layer without a bias got one from the normalisation.
            bias = weights.get(f"{layer}.weight_bias", torch.zeros(()))
            _cancel_normalisation(model.get_submodule(norm), torch.zeros(()), torch.ones(()), bias)
        _measure(model, list(before), x)
        session = open_session(path.read_bytes())
        theirs = session.run(None, {session.get_inputs()[0].name: x[:8].cpu().numpy()})[0]
        apart = float((model(x[:8]).cpu() - torch.from_numpy(theirs)).abs().max())
        if apart > TOLERANCE:
            raise ValueError(
                f"{path} and its weights in this network differ by {apart:.2g} in a logit; "
                "choose the file's own network"
            )


def measure_folded_norms(model: nn.Module, shifts: dict[Norm, Tensor], x: Tensor) -> None:
    """Gives normalizations that were folded into the layers before them the statistics of their input.

    ``shifts`` are the biases [C] that folding has added to those layers, which have none here. ``x`` are some
    hundred inputs of ``model``, which computes the same before and after in evaluation.
    """
    names = [name for name, module in model.named_modules() if module in shifts]
    model.eval()
    with torch.no_grad():
        for norm, shift in shifts.items():
            _cancel_normalisation(norm, torch.zeros(()), torch.ones(()), shift)
        _measure(model, names, x)


def _measure(model: nn.Module, norms: list[str], x: Tensor) -> None:
    """Sets the statistics of normalizations that only add their bias so far."""
    means, variances = _statistics(model, norms, x)
    for norm in norms:
        module = model.get_submodule(norm)
        _cancel_normalisation(module, means[norm], variances[norm], module.bias.clone())


def _cancel_normalisation(norm: nn.Module, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    """Sets the statistics, and a scale and shift with which the normalisation only adds ``bias``."""
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(bias + mean)


def _layers_before_norms(model: nn.Module, x: Tensor) -> dict[str, str]:
    """Name of each normalisation -> name of the layer whose output it reads, found by running the network."""
    made: dict[int, tuple[str, Tensor]] = {}  # the tensor is kept, so that no other one gets its id
    pairs: dict[str, str] = {}
    with _hooks() as handles, torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                handles.append(
                    module.register_forward_hook(
                        lambda _, __, out, name=name: made.update({id(out): (name, out)})
                    )
                )
            elif isinstance(module, Norm):
                handles.append(
                    module.register_forward_pre_hook(
                        lambda _, given, name=name: pairs.update({name: made[id(given[0])][0]})
                    )
                )
        model(x)
    return pairs


def _statistics(model: nn.Module, norms: list[str], x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mean and variance [C] of each normalisation's input over all of ``x``."""
    sums: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    counts = dict.fromkeys(norms, 0)

    def add(name: str, given: Tensor) -> None:
        dims = [0, *range(2, given.ndim)]
        wide = given.double()
        sums[name] = sums.get(name, 0) + wide.sum(dims)
        squares[name] = squares.get(name, 0) + wide.square().sum(dims)
        counts[name] += given.numel() // given.shape[1]

    with _hooks() as handles, torch.no_grad():
        for name in norms:
            hook = model.get_submodule(name).register_forward_pre_hook
            handles.append(hook(lambda _, given, name=name: add(name, given[0])))
        for part in x.split(BATCH):
            model(part)
    means = {name: sums[name] / counts[name] for name in norms}
    variances = {name: squares[name] / counts[name] - means[name].square() for name in norms}
    return {n: m.float() for n, m in means.items()}, {n: v.float() for n, v in variances.items()}


@contextmanager
def _hooks() -> Iterator[list[torch.utils.hooks.RemovableHandle]]:
    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()
