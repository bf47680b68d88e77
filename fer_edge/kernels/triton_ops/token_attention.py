"""`token_attention` on Triton kernels, with gradients; see `jit.token_attention`."""

from typing import Any

import torch
from torch import Tensor

from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.jit.token_attention import forward_plan
from fer_edge.kernels.jit.token_attention_backward import (
    attend_backward_plan,
    mix_plan,
    normalize_backward_plan,
)
from fer_edge.kernels.layout import dense, is_channels_last, layout_of
from fer_edge.kernels.reference import TokenAttentionWeights


def token_attention(x: Tensor, weights: TokenAttentionWeights, heads: int, epsilon: float = 1e-5) -> Tensor:
    """`fer_edge.kernels.reference.token_attention` in two launches, four beyond 256 channels, with gradients.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W] on a CUDA device, or on the CPU in Triton's
            interpreter; at most 64 positions; contiguous or channels-last, other layouts are copied
            first.
        weights: of the dtype of x.
        heads: number of heads; divides C.
        epsilon: added to the variance of LayerNorm.

    Returns:
        [N, C, H, W] of the dtype and memory format of x. Sums, softmax and LayerNorm are float32.
    """
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights))
    y: Tensor = _forward(x, *weights, heads, epsilon, training)[0]
    return y


@torch.library.custom_op("fer_edge::token_attention", mutates_args=())
def _forward(
    x: Tensor,
    qkv_w: Tensor,
    qkv_b: Tensor,
    out_w: Tensor,
    out_b: Tensor,
    norm_w: Tensor,
    norm_b: Tensor,
    heads: int,
    epsilon: float,
    training: bool,
) -> tuple[Tensor, Tensor]:
    """The output, and qkv [N, T, 3 C] for the backward pass (empty if not in training)."""
    images, channels, height, width = x.shape
    last = is_channels_last(x)
    plan = forward_plan(channels, height, width, heads, epsilon, DTYPE_NAMES[x.dtype], last)
    kept = {"qkv": plan.empty_tensor("qkv", images, x.device)} if training else {}
    made = plan.run(
        images,
        x=dense(x),
        qkv_w=qkv_w.contiguous(),
        qkv_b=qkv_b.contiguous(),
        out_w=out_w.contiguous(),
        out_b=out_b.contiguous(),
        norm_w=norm_w.contiguous(),
        norm_b=norm_b.contiguous(),
        **kept,
    )
    return made["y"], kept.get("qkv", x.new_empty(0))


@_forward.register_fake
def _(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    images, channels, height, width = x.shape
    qkv = x.new_empty(images, height * width, 3 * channels) if rest[-1] else x.new_empty(0)
    return torch.empty_like(x, memory_format=layout_of(x)), qkv


@torch.library.custom_op("fer_edge::token_attention_backward", mutates_args=())
def _backward(
    y_grad: Tensor,
    x: Tensor,
    qkv: Tensor,
    qkv_w: Tensor,
    out_w: Tensor,
    out_b: Tensor,
    norm_w: Tensor,
    heads: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x and of the weights, in their order."""
    images, channels, height, width = x.shape
    tokens, dtype, layout = height * width, DTYPE_NAMES[x.dtype], layout_of(x)
    x = x.contiguous(memory_format=layout)
    # The operands already have the right dtype.
    with torch.autocast(x.device.type, enabled=False):
        mixed = mix_plan(channels, tokens, heads, dtype).run(images, qkv=qkv)["mixed"].view(-1, channels)
        normalized = normalize_backward_plan(
            channels, height, width, epsilon, dtype, layout == torch.channels_last
        ).run(
            images,
            y_grad=y_grad.contiguous(memory_format=layout),
            x=x,
            projected=torch.addmm(out_b, mixed, out_w.t()),
            norm_w=norm_w.contiguous(),
        )
        joined_grad = normalized["joined_grad"].view(-1, channels)
        attended = attend_backward_plan(channels, tokens, heads, dtype).run(
            images, qkv=qkv, mixed_grad=joined_grad @ out_w
        )
        qkv_grad = attended["qkv_grad"].view(-1, 3 * channels)
        x_grad = torch.addmm(joined_grad, qkv_grad, qkv_w).view(images, height, width, channels)
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        return (
            x_grad.permute(0, 3, 1, 2).contiguous(memory_format=layout),
            qkv_grad.t() @ rows,
            attended["qkv_b_parts"].sum(0).to(x.dtype),
            joined_grad.t() @ mixed,
            normalized["out_b_parts"].sum(0).to(x.dtype),
            normalized["norm_w_parts"].sum(0).to(x.dtype),
            normalized["norm_b_parts"].sum(0).to(x.dtype),
        )


@_backward.register_fake
def _(
    y_grad: Tensor, x: Tensor, qkv: Tensor, qkv_w: Tensor, out_w: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    channels = x.shape[1]
    shapes = (3 * channels, channels), (3 * channels,), (channels, channels), channels, channels, channels
    qkv_w_grad, qkv_b_grad, out_w_grad, out_b_grad, norm_w_grad, norm_b_grad = map(x.new_empty, shapes)
    x_grad = torch.empty_like(x, memory_format=layout_of(x))
    return x_grad, qkv_w_grad, qkv_b_grad, out_w_grad, out_b_grad, norm_w_grad, norm_b_grad


def _save_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, qkv_w, _, out_w, out_b, norm_w, _, ctx.heads, ctx.epsilon, _ = inputs
    ctx.save_for_backward(x, output[1], qkv_w, out_w, out_b, norm_w)
    # qkv has no gradient; without this PyTorch would allocate zeros for it.
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, y_grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    return *_backward(y_grad, *ctx.saved_tensors, ctx.heads, ctx.epsilon), None, None, None


_forward.register_autograd(_gradients, setup_context=_save_context)
