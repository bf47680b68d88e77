"""`multi_branch_attention` on Triton kernels, with gradients; see `jit.multi_branch_attention`."""

from typing import Any

import torch
from torch import Tensor

from fer_edge.kernels.fold import fold_multi_branch
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.jit.multi_branch_attention import forward_plan
from fer_edge.kernels.jit.multi_branch_attention_backward import joined_plan, maps_plan
from fer_edge.kernels.layout import dense, is_channels_last, layout_of
from fer_edge.kernels.reference import FoldedMultiBranchWeights, MultiBranchWeights

# Buffers of the plan that the backward pass reads; empty tensors if no gradient is needed.
SAVED = ("depthwise", "moments", "local", "scale")


def multi_branch_attention(z: Tensor, weights: MultiBranchWeights | FoldedMultiBranchWeights) -> Tensor:
    """`fer_edge.kernels.reference.multi_branch_attention` in three launches, with gradients.

    Args:
        z: float32, float16 or bfloat16 [N, 2 C, H, W] on a CUDA device, or on the CPU in Triton's
            interpreter; contiguous or channels-last, other layouts are copied first.
        weights: of the dtype of z. Unfolded weights are folded first, as part of the autograd graph.

    Returns:
        [N, C, H, W] of the dtype and memory format of z. In half precision the modulated map and the
        activations of the local branch must be representable; the texture, its gate and all sums are float32.
    """
    folded = weights if isinstance(weights, FoldedMultiBranchWeights) else fold_multi_branch(weights)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (z, *folded))
    out: Tensor = _forward(z, *folded, training)[0]
    return out


@torch.library.custom_op("fer_edge::multi_branch_attention", mutates_args=())
def _forward(
    z: Tensor,
    alpha: Tensor,
    beta: Tensor,
    texture_w: Tensor,
    texture_b: Tensor,
    depthwise_w: Tensor,
    depthwise_b: Tensor,
    pointwise_w: Tensor,
    pointwise_b: Tensor,
    merged_w: Tensor,
    merged_b: Tensor,
    training: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The output, then `SAVED`."""
    plan = forward_plan(
        channels=z.shape[1] // 2,
        height=z.shape[2],
        width=z.shape[3],
        dtype=DTYPE_NAMES[z.dtype],
        channels_last=is_channels_last(z),
        images=len(z),
        save=training,
        tensor_cores=z.is_cuda and torch.cuda.get_device_capability(z.device) >= (8, 0),
    )
    made = plan.run(
        len(z),
        z=dense(z),
        alpha=alpha.contiguous(),
        beta=beta.contiguous(),
        texture_w=texture_w.contiguous(),
        texture_b=texture_b.contiguous(),
        depthwise_w=depthwise_w.contiguous(),
        depthwise_b=depthwise_b.contiguous(),
        pointwise_w=pointwise_w.contiguous(),
        pointwise_b=pointwise_b.contiguous(),
        merged_w=merged_w.contiguous(),
        merged_b=merged_b.contiguous(),
    )
    depthwise, moments, local, scale = (made[name] if training else z.new_empty(0) for name in SAVED)
    return made["out"], depthwise, moments, local, scale


@_forward.register_fake
def _(z: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    training = rest[-1]
    images, channels, positions = z.shape[0], z.shape[1] // 2, z.shape[2] * z.shape[3]
    layout = layout_of(z)
    out = torch.empty(images, channels, *z.shape[2:], dtype=z.dtype, device=z.device, memory_format=layout)
    if not training:
        return out, z.new_empty(0), z.new_empty(0), z.new_empty(0), z.new_empty(0)
    depthwise = z.new_empty(images, positions, 2 * channels)
    moments = z.new_empty(images, 2, channels, dtype=torch.float32)
    local = z.new_empty(2, images, positions, 2 * channels)
    scale = z.new_empty(2, images, channels, dtype=torch.float32)
    return out, depthwise, moments, local, scale


@torch.library.custom_op("fer_edge::multi_branch_attention_backward", mutates_args=())
def _backward(
    out_grad: Tensor,
    z: Tensor,
    alpha: Tensor,
    beta: Tensor,
    texture_w: Tensor,
    depthwise_w: Tensor,
    pointwise_w: Tensor,
    merged_w: Tensor,
    depthwise: Tensor,
    moments: Tensor,
    local: Tensor,
    scale: Tensor,
) -> list[Tensor]:
    """Gradients of z and of the folded weights, in their order."""
    images, double, height, width = z.shape
    channels = double // 2
    shape = (channels, height, width, DTYPE_NAMES[z.dtype], is_channels_last(z))
    z = dense(z)
    grad = out_grad.permute(0, 2, 3, 1).reshape(-1, channels)
    # The operands already have the right dtype.
    with torch.autocast(z.device.type, enabled=False):
        joined_grad = grad @ merged_w
        joined = joined_plan(*shape).run(images, z=z, scale=scale, local=local, joined_grad=joined_grad)
        branches = joined["modulated"].view(-1, channels), local[0].view(-1, double)
        merged_w_grad = torch.cat([grad.t() @ branch for branch in branches], dim=1)
        texture_grad, *weights = _gate_gradients(joined["gate_grad"], moments, alpha, beta, texture_w)
        hidden_grad = joined["hidden_grad"].view(-1, double)
        pointwise_w_grad = hidden_grad.t() @ depthwise.view(-1, double)
        depthwise_grad = hidden_grad @ pointwise_w
    maps = maps_plan(*shape).run(
        images,
        z=z,
        alpha=alpha.contiguous(),
        beta=beta.contiguous(),
        depthwise_w=depthwise_w.contiguous(),
        moments=moments,
        scale=scale,
        joined_grad=joined_grad,
        texture_grad=texture_grad,
        depthwise_grad=depthwise_grad,
    )
    # Chunks without images are not written.
    taps_grad = maps["taps_grad"][:images].sum(0).t().reshape(depthwise_w.shape)
    weights += [taps_grad, depthwise_grad.sum(0), pointwise_w_grad, hidden_grad.sum(0)]
    weights += [merged_w_grad, grad.sum(0)]
    return [maps["z_grad"], *(weight.to(z.dtype) for weight in weights)]


def _gate_gradients(
    gate_grad: Tensor, moments: Tensor, alpha: Tensor, beta: Tensor, texture_w: Tensor
) -> list[Tensor]:
    """Gradients of t, alpha, beta, texture_w and texture_b from the gradient before GELU; float32."""
    mean, variance = moments.unbind(1)
    texture_w_grad = gate_grad.t() @ (alpha.float() * mean + beta.float() * variance)
    texture_grad = gate_grad @ texture_w.float()
    mixture_grads = [(texture_grad * moment).sum(0) for moment in (mean, variance)]
    return [texture_grad, *mixture_grads, texture_w_grad, gate_grad.sum(0)]


@_backward.register_fake
def _(out_grad: Tensor, z: Tensor, *rest: Tensor) -> list[Tensor]:
    alpha, beta, texture_w, depthwise_w, pointwise_w, merged_w = rest[:6]
    channels = len(alpha)
    layout = layout_of(z)
    z_grad = torch.empty(z.shape, dtype=z.dtype, device=z.device, memory_format=layout)
    shapes: list[tuple[int, ...]] = [alpha.shape, beta.shape, texture_w.shape, (channels,)]
    shapes += [depthwise_w.shape, (2 * channels,), pointwise_w.shape, (2 * channels,)]
    shapes += [merged_w.shape, (channels,)]
    return [z_grad, *(z.new_empty(shape) for shape in shapes)]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    z, alpha, beta, texture_w, _, depthwise_w, _, pointwise_w, _, merged_w, _, _ = inputs
    ctx.save_for_backward(z, alpha, beta, texture_w, depthwise_w, pointwise_w, merged_w, *output[1:])
    # The saved outputs have no gradient; without this PyTorch would allocate zeros for them.
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, out_grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    return *_backward(out_grad, *ctx.saved_tensors), None


_forward.register_autograd(_differentiate, setup_context=_setup_context)
