"""Folds consecutive linear layers into one. The fold is differentiable, so training folds in every step.

TAFE ends with project (C x 2 C), a sum or concatenation, and merge. All three are linear, so one matrix
replaces them. With M the merge and P the projection, M (x s + P g + p) + m = [M | M P] [x s; g] + (M p + m).
The folded matrix needs as many multiplications as the two layers, but one launch and one round trip through
memory less. It has the same form for added and for concatenated branches.
"""

import torch
from torch import Tensor, nn

from .reference import DcifWeights, FoldedMultiBranchWeights, MultiBranchWeights


def fold_multi_branch(weights: MultiBranchWeights) -> FoldedMultiBranchWeights:
    """The same operation with one matrix less; computed in at least float32, without autocast."""
    w = weights
    dtype = w.merge_w.dtype
    precise = torch.promote_types(dtype, torch.float32)
    channels = w.merge_w.shape[0]
    with torch.autocast(w.merge_w.device.type, enabled=False):
        merge, project = w.merge_w.to(precise), w.project_w.to(precise)
        modulated, local = (
            merge[:, :channels],
            merge[:, -channels:],
        )  # the same columns if added
        merged_w = torch.cat([modulated, local @ project], dim=1)
        merged_b = w.merge_b.to(precise) + local @ w.project_b.to(precise)
    return FoldedMultiBranchWeights(*w[:8], merged_w.to(dtype), merged_b.to(dtype))


def fold_dcif(squeeze: nn.Linear, norm: nn.BatchNorm1d, expand: nn.Linear, spatial_w: Tensor) -> DcifWeights:
    """`DcifWeights` from the layers of a `Dcif` in evaluation mode; spatial_w [1, 2, 7, 7] or [2, 7, 7]."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("norm must have running statistics, got none; the fold needs them")
    dtype = squeeze.weight.dtype
    precise = torch.promote_types(dtype, torch.float32)
    with torch.autocast(squeeze.weight.device.type, enabled=False):
        factor = norm.weight.to(precise) * torch.rsqrt(norm.running_var.to(precise) + norm.eps)
        squeeze_w = squeeze.weight.to(precise) * factor[:, None]
        squeeze_b = (squeeze.bias.to(precise) - norm.running_mean.to(precise)) * factor + norm.bias.to(
            precise
        )
    return DcifWeights(
        squeeze_w.to(dtype), squeeze_b.to(dtype), expand.weight, expand.bias, spatial_w.reshape(2, 7, 7)
    )
