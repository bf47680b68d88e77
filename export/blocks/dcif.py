"""`fer_edge::DCIF`: both gates and the mean over space that follows, as `fer_edge.kernels` defines it."""

from export.blocks.matching import Match, NodeParts

# Weights as in DcifWeights. Everything is float32, as in the kernels.
FUNCTION = """
<domain: "fer_edge", opset_import: ["" : 18]>
DCIF <plugin_namespace, plugin_version> (x, squeeze_w, squeeze_b, expand_w, expand_b, spatial_w) => (out)
{
    space = Constant <value_ints = [2, 3]> ()
    channel = Constant <value_ints = [1]> ()
    first = Constant <value_ints = [0]> ()

    wide_x = Cast <to = 1> (x)
    wide_squeeze_w = Cast <to = 1> (squeeze_w)
    wide_squeeze_b = Cast <to = 1> (squeeze_b)
    wide_expand_w = Cast <to = 1> (expand_w)
    wide_expand_b = Cast <to = 1> (expand_b)
    wide_spatial_w = Cast <to = 1> (spatial_w)

    mean = ReduceMean <keepdims = 0> (wide_x, space)
    squeezed = Gemm <transB = 1> (mean, wide_squeeze_w, wide_squeeze_b)
    hidden = Relu (squeezed)
    expanded = Gemm <transB = 1> (hidden, wide_expand_w, wide_expand_b)
    gate = Sigmoid (expanded)
    gate_column = Unsqueeze (gate, space)
    gated = Mul (wide_x, gate_column)

    channel_mean = ReduceMean <keepdims = 1> (gated, channel)
    channel_largest = ReduceMax <keepdims = 1> (gated, channel)
    summary = Concat <axis = 1> (channel_mean, channel_largest)
    spatial_kernel = Unsqueeze (wide_spatial_w, first)
    spatial = Conv <kernel_shape = [7, 7], pads = [3, 3, 3, 3]> (summary, spatial_kernel)
    spatial_gate = Sigmoid (spatial)
    filtered = Mul (gated, spatial_gate)
    pooled = ReduceMean <keepdims = 0> (filtered, space)
    out = CastLike (pooled, x)
}
"""

# What the exporter writes for `training.models.dcif.Dcif.pooled`.
PLAIN_FORMS = (
    """
<domain: "plain", opset_import: ["" : 18]>
DCIF (x, space, channel, squeeze_w, squeeze_b, expand_w, expand_b, spatial_w) => (out)
{
    mean = ReduceMean <keepdims = 0> (x, space)
    squeezed = Gemm <transB = 1> (mean, squeeze_w, squeeze_b)
    hidden = Relu (squeezed)
    expanded = Gemm <transB = 1> (hidden, expand_w, expand_b)
    gate = Sigmoid (expanded)
    gate_column = Unsqueeze (gate, space)
    gated = Mul (x, gate_column)
    channel_mean = ReduceMean <keepdims = 1> (gated, channel)
    channel_largest = ReduceMax <keepdims = 1> (gated, channel)
    summary = Concat <axis = 1> (channel_mean, channel_largest)
    spatial = Conv (summary, spatial_w)
    spatial_gate = Sigmoid (spatial)
    filtered = Mul (gated, spatial_gate)
    out = ReduceMean <keepdims = 0> (filtered, space)
}
""",
)


def node_parts(match: Match) -> NodeParts:
    """Weights and attributes of the node that replaces a match."""
    names = ("squeeze_w", "squeeze_b", "expand_w", "expand_b", "spatial_w")
    weights = {name: match.weights[name] for name in names}
    return NodeParts(inputs=weights | {"spatial_w": weights["spatial_w"].reshape(2, 7, 7)}, attributes={})
