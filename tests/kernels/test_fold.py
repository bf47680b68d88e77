"""Folded weights are the same operation."""

import pytest
import torch
from draws import multi_branch_weights
from precision import assert_accurate, cast, expected
from torch import nn

from fer_edge.kernels import fold_dcif, fold_multi_branch, reference
from training.models.dcif import Dcif


@pytest.mark.numeric
@pytest.mark.parametrize("concatenate", [False, True])
def test_one_matrix_replaces_project_and_merge(concatenate):
    z = torch.randn(3, 32, 5, 4, dtype=torch.float64)
    weights = multi_branch_weights(16, concatenate)
    folded = fold_multi_branch(weights)
    assert folded.merged_w.shape == (16, 48)
    expected = reference.multi_branch_attention(z, weights)
    torch.testing.assert_close(reference.multi_branch_attention(z, folded), expected)


@pytest.mark.parametrize("concatenate", [False, True])
def test_gradients_pass_through_the_fold(concatenate):
    *others, project_w, project_b, merge_w, merge_b = multi_branch_weights(8, concatenate)
    folded = [w.requires_grad_() for w in (project_w, project_b, merge_w, merge_b)]
    z = torch.randn(2, 16, 3, 3, dtype=torch.float64)

    def output(*values: torch.Tensor) -> torch.Tensor:
        weights = reference.MultiBranchWeights(*others, *values)
        return reference.multi_branch_attention(z, fold_multi_branch(weights))

    assert torch.autograd.gradcheck(output, folded)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_products_are_rounded_once(dtype):
    weights = cast(multi_branch_weights(64), dtype)
    wide = cast(weights, torch.float64)
    exact = expected(lambda: fold_multi_branch(wide)._asdict(), dtype, stored=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        folded = fold_multi_branch(weights)
    for name, values in folded._asdict().items():
        assert_accurate(name, values, exact[name])


@pytest.mark.numeric
def test_batch_norm_is_folded_into_the_layer_before_it():
    torch.manual_seed(0)
    block = Dcif(32).double()
    with torch.no_grad():
        for _ in range(3):
            block(torch.randn(8, 32, 4, 4, dtype=torch.float64) * 2 + 1)
        nn.init.normal_(block.channel[1].weight)
        nn.init.normal_(block.channel[1].bias)
    block.eval()
    squeeze, norm, _, expand, _ = block.channel
    x = torch.randn(5, 32, 4, 4, dtype=torch.float64)
    weights = fold_dcif(squeeze, norm, expand, block.spatial[0].weight)
    torch.testing.assert_close(reference.dcif(x, weights), block.pooled(x))


def test_a_norm_without_statistics_is_refused():
    with pytest.raises(ValueError, match="running statistics"):
        fold_dcif(
            nn.Linear(8, 2),
            nn.BatchNorm1d(2, track_running_stats=False),
            nn.Linear(2, 8),
            torch.zeros(2, 7, 7),
        )
