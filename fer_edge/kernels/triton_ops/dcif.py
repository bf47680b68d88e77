"""`dcif` and `filter_and_pool` on Triton kernels, with gradients; see `jit.dcif`."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_edge.kernels.jit.dcif import forward_plan
from fer_edge.kernels.jit.dcif_backward import backward_plan
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.layout import dense, is_channels_last, layout_of
from fer_edge.kernels.reference import DcifWeights


def dcif(x: Tensor, weights: DcifWeights) -> Tensor:
    """`fer_edge.kernels.reference.dcif` in one launch, with gradients.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W] on a CUDA device, or on the CPU in Triton's
            interpreter; contiguous or channels-last, other layouts are copied first.
        weights: of the dtype of x.

    Returns:
        [N, C] of the dtype of x, rounded once at the end: all arithmetic is float32.
    """
    out: Tensor = _dcif(x, *weights)
    return out


def filter_and_pool(x: Tensor, gate: Tensor, spatial_w: Tensor) -> Tensor:
    """`fer_edge.kernels.reference.filter_and_pool` in one launch, with gradients.

    Args:
        x: as for `dcif`.
        gate: [N, C] of the dtype of x.
        spatial_w: [2, 7, 7] of the dtype of x.

    Returns:
        [N, C] of the dtype of x, rounded once.
    """
    out: Tensor = _filter_and_pool(x, gate, spatial_w)
    return out


def _map_arguments(x: Tensor) -> tuple[int, int, int, str, bool]:
    """The arguments of a plan that describe the map."""
    return x.shape[1], x.shape[2], x.shape[3], DTYPE_NAMES[x.dtype], is_channels_last(x)


@torch.library.custom_op("fer_edge::dcif", mutates_args=())
def _dcif(
    x: Tensor, squeeze_w: Tensor, squeeze_b: Tensor, expand_w: Tensor, expand_b: Tensor, spatial_w: Tensor
) -> Tensor:
    plan = forward_plan(*_map_arguments(x), hidden=len(squeeze_b))
    made = plan.run(
        len(x),
        x=dense(x),
        squeeze_w=squeeze_w.contiguous(),
        squeeze_b=squeeze_b.contiguous(),
        expand_w=expand_w.contiguous(),
        expand_b=expand_b.contiguous(),
        spatial_w=spatial_w.contiguous(),
    )
    return made["out"]


@torch.library.custom_op("fer_edge::dcif_backward", mutates_args=())
def _dcif_backward(
    dout: Tensor,
    x: Tensor,
    squeeze_w: Tensor,
    squeeze_b: Tensor,
    expand_w: Tensor,
    expand_b: Tensor,
    spatial_w: Tensor,
) -> list[Tensor]:
    """Gradients of x and of the weights, in their order.

    The channel gate is recomputed here in float32; it is a few thousand multiplications per image.
    """
    with torch.autocast(x.device.type, enabled=False):
        squeeze, expand = squeeze_w.float(), expand_w.float()
        mean = x.mean((2, 3), dtype=torch.float32)
        hidden = F.relu(F.linear(mean, squeeze, squeeze_b.float()))
        gate = torch.sigmoid(F.linear(hidden, expand, expand_b.float()))
        dx, dgate, dspatial_w = _filter_gradients(dout, x, gate, spatial_w)
        dexpanded = dgate * gate * (1 - gate)
        dsqueezed = (dexpanded @ expand) * (hidden > 0)
        # The sum is float32 and is rounded once more.
        dx += (dsqueezed @ squeeze / (x.shape[2] * x.shape[3]))[:, :, None, None]
        weights = (dsqueezed.t() @ mean, dsqueezed.sum(0), dexpanded.t() @ hidden, dexpanded.sum(0))
    return [dx, *(gradient.to(x.dtype) for gradient in (*weights, dspatial_w))]


@torch.library.custom_op("fer_edge::filter_and_pool", mutates_args=())
def _filter_and_pool(x: Tensor, gate: Tensor, spatial_w: Tensor) -> Tensor:
    plan = forward_plan(*_map_arguments(x), gate_given=True)
    return plan.run(len(x), x=dense(x), gate=gate.contiguous(), spatial_w=spatial_w.contiguous())["out"]


@torch.library.custom_op("fer_edge::filter_and_pool_backward", mutates_args=())
def _filter_and_pool_backward(dout: Tensor, x: Tensor, gate: Tensor, spatial_w: Tensor) -> list[Tensor]:
    """Gradients of x, gate and spatial_w."""
    with torch.autocast(x.device.type, enabled=False):
        dx, dgate, dspatial_w = _filter_gradients(dout, x, gate, spatial_w)
    return [dx, dgate.to(gate.dtype), dspatial_w.to(spatial_w.dtype)]


def _filter_gradients(
    dout: Tensor, x: Tensor, gate: Tensor, spatial_w: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, in its dtype, and of gate and spatial_w, in float32."""
    made = backward_plan(*_map_arguments(x)).run(
        len(x),
        x=dense(x),
        gate=gate.float().contiguous(),
        spatial_w=spatial_w.contiguous(),
        dout=dout.contiguous(),
    )
    # The unfolded summary, float32 [N, 98, P], has one row per tap.
    taps = F.unfold(made["summary"], 7, padding=3)
    dspatial_w = torch.einsum("nkp,np->k", taps, made["dspatial_logit"])
    return made["dx"], made["dgate"], dspatial_w.view(2, 7, 7)


@_dcif.register_fake
@_filter_and_pool.register_fake
def _(x: Tensor, *rest: Tensor) -> Tensor:
    return x.new_empty(x.shape[:2])


@_dcif_backward.register_fake
@_filter_and_pool_backward.register_fake
def _(dout: Tensor, x: Tensor, *rest: Tensor) -> list[Tensor]:
    layout = layout_of(x)
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout)
    return [dx, *(torch.empty(weight.shape, dtype=x.dtype, device=x.device) for weight in rest)]


def _save_inputs(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, dout: Tensor) -> tuple[Tensor, ...]:
    return tuple(_dcif_backward(dout, *ctx.saved_tensors))


def _filter_and_pool_gradients(ctx: Any, dout: Tensor) -> tuple[Tensor, ...]:
    return tuple(_filter_and_pool_backward(dout, *ctx.saved_tensors))


_dcif.register_autograd(_gradients, setup_context=_save_inputs)
_filter_and_pool.register_autograd(_filter_and_pool_gradients, setup_context=_save_inputs)
