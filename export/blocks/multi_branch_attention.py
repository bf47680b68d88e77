"""`fer_edge::MultiBranchAttention`: TAFE after its first convolution, as `fer_edge.kernels` defines it."""

import numpy as np

from export.blocks.matching import Match, NodeParts

# Weights as in FoldedMultiBranchWeights. Means, variance and both GELUs are float32, as in the kernels.
FUNCTION = """
<domain: "fer_edge", opset_import: ["" : 18]>
MultiBranchAttention <channels, plugin_namespace, plugin_version> (
    z, alpha, beta, texture_w, texture_b, depthwise_w, depthwise_b, pointwise_w, pointwise_b,
    merged_w, merged_b
) => (out)
{
    space = Constant <value_ints = [2, 3]> ()
    kernel = Constant <value_ints = [1]> ()
    column = Constant <value_ints = [1, -1, 1, 1]> ()
    root = Constant <value_float = 1.41421356> ()
    one = Constant <value_float = 1.0> ()
    half = Constant <value_float = 0.5> ()

    y, x = Split <axis = 1, num_outputs = 2> (z)

    wide_x = Cast <to = 1> (x)
    mean = ReduceMean <keepdims = 1> (wide_x, space)
    centred = Sub (wide_x, mean)
    squares = Mul (centred, centred)
    variance = ReduceMean <keepdims = 1> (squares, space)
    alpha_column = Reshape (alpha, column)
    beta_column = Reshape (beta, column)
    wide_alpha = Cast <to = 1> (alpha_column)
    wide_beta = Cast <to = 1> (beta_column)
    weighted_mean = Mul (wide_alpha, mean)
    weighted_variance = Mul (wide_beta, variance)
    statistics = Add (weighted_mean, weighted_variance)
    texture_kernel = Unsqueeze (texture_w, space)
    wide_texture_kernel = Cast <to = 1> (texture_kernel)
    wide_texture_b = Cast <to = 1> (texture_b)
    texture = Conv (statistics, wide_texture_kernel, wide_texture_b)
    texture_share = Div (texture, root)
    texture_erf = Erf (texture_share)
    texture_sum = Add (texture_erf, one)
    texture_half = Mul (texture_sum, half)
    wide_scale = Mul (texture, texture_half)
    scale = CastLike (wide_scale, z)
    modulated = Mul (x, scale)

    depthwise_kernel = Unsqueeze (depthwise_w, kernel)
    depthwise = Conv <group: int = @channels, kernel_shape = [3, 3], pads = [1, 1, 1, 1]>
        (y, depthwise_kernel, depthwise_b)
    pointwise_kernel = Unsqueeze (pointwise_w, space)
    pointwise = Conv (depthwise, pointwise_kernel, pointwise_b)
    wide_pointwise = Cast <to = 1> (pointwise)
    local_share = Div (wide_pointwise, root)
    local_erf = Erf (local_share)
    local_sum = Add (local_erf, one)
    local_half = Mul (local_sum, half)
    wide_local = Mul (wide_pointwise, local_half)
    local = CastLike (wide_local, z)

    joined = Concat <axis = 1> (modulated, local)
    merged_kernel = Unsqueeze (merged_w, space)
    out = Conv (joined, merged_kernel, merged_b)
}
"""

# What the exporter writes for `training.models.tafe.Tafe` after its first convolution; {join} is the sum or
# the concatenation of the branches.
PLAIN = """
<domain: "plain", opset_import: ["" : 18]>
MultiBranchAttention (
    z, space, alpha, beta, texture_w, texture_b, depthwise_w, depthwise_b, pointwise_w, pointwise_b,
    project_w, project_b, merge_w, merge_b, root, one, half, two
) => (out)
{{
    y, x = Split <axis = 1, num_outputs = 2> (z)
    mean = ReduceMean <keepdims = 1> (x, space)
    centred = Sub (x, mean)
    squares = Pow (centred, two)
    variance = ReduceMean <keepdims = 1> (squares, space)
    weighted_mean = Mul (alpha, mean)
    weighted_variance = Mul (beta, variance)
    statistics = Add (weighted_mean, weighted_variance)
    texture = Conv (statistics, texture_w, texture_b)
    texture_share = Div (texture, root)
    texture_erf = Erf (texture_share)
    texture_sum = Add (texture_erf, one)
    texture_half = Mul (half, texture_sum)
    scale = Mul (texture, texture_half)
    modulated = Mul (x, scale)
    depthwise = Conv (y, depthwise_w, depthwise_b)
    pointwise = Conv (depthwise, pointwise_w, pointwise_b)
    local_share = Div (pointwise, root)
    local_erf = Erf (local_share)
    local_sum = Add (local_erf, one)
    local_half = Mul (half, local_sum)
    activated = Mul (pointwise, local_half)
    local = Conv (activated, project_w, project_b)
    joined = {join} (modulated, local)
    out = Conv (joined, merge_w, merge_b)
}}
"""
PLAIN_FORMS = tuple(PLAIN.format(join=join) for join in ("Add", "Concat <axis = 1>"))


def node_parts(match: Match) -> NodeParts:
    """Weights and attributes of the node that replaces a match."""
    w = match.weights
    channels = len(w["merge_b"])
    merge = w["merge_w"].reshape(channels, -1)
    # project and merge are linear, so one matrix replaces them (`fer_edge.kernels.fold`).
    modulated, local = merge[:, :channels], merge[:, -channels:]
    return NodeParts(
        inputs={
            "alpha": w["alpha"].reshape(channels),
            "beta": w["beta"].reshape(channels),
            "texture_w": w["texture_w"].reshape(channels, channels),
            "texture_b": w["texture_b"],
            "depthwise_w": w["depthwise_w"].reshape(2 * channels, 3, 3),
            "depthwise_b": w["depthwise_b"],
            "pointwise_w": w["pointwise_w"].reshape(2 * channels, 2 * channels),
            "pointwise_b": w["pointwise_b"],
            "merged_w": np.concatenate(
                [modulated, local @ w["project_w"].reshape(channels, 2 * channels)], axis=1
            ),
            "merged_b": w["merge_b"] + local @ w["project_b"],
        },
        attributes={"channels": channels},
    )
