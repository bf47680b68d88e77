"""`fer_edge::TokenAttention`: attention over positions, residual and LayerNorm, as `fer_edge.kernels` defines
it.
"""

from onnx import helper

from export.blocks.matching import Match, NodeParts

# Weights as in TokenAttentionWeights. Softmax, the residual and LayerNorm are float32, as in the kernels.
FUNCTION = """
<domain: "fer_edge", opset_import: ["" : 18]>
TokenAttention <heads, epsilon, plugin_namespace, plugin_version> (
    x, qkv_w, qkv_b, out_w, out_b, norm_w, norm_b
) => (out)
{
    first = Constant <value_ints = [0]> ()
    flat = Constant <value_ints = [0, 0, -1]> ()
    before_heads = Constant <value_ints = [0, 0, 3]> ()
    heads_number = Constant <value_int: int = @heads> ()
    one = Constant <value_ints = [1]> ()
    heads_row = Reshape (heads_number, one)
    rest = Constant <value_ints = [-1]> ()
    split_shape = Concat <axis = 0> (before_heads, heads_row, rest)

    shape = Shape (x)
    rows = Reshape (x, flat)
    tokens = Transpose <perm = [0, 2, 1]> (rows)
    qkv_columns = Transpose <perm = [1, 0]> (qkv_w)
    product = MatMul (tokens, qkv_columns)
    qkv = Add (product, qkv_b)
    parts = Reshape (qkv, split_shape)
    ordered = Transpose <perm = [2, 0, 3, 1, 4]> (parts)
    query_part, key_part, value_part = Split <axis = 0, num_outputs = 3> (ordered)
    query = Squeeze (query_part, first)
    key = Squeeze (key_part, first)
    value = Squeeze (value_part, first)

    key_columns = Transpose <perm = [0, 1, 3, 2]> (key)
    scores = MatMul (query, key_columns)
    wide_scores = Cast <to = 1> (scores)
    width = Shape <start = 3> (query)
    wide_width = Cast <to = 1> (width)
    root = Sqrt (wide_width)
    scaled = Div (wide_scores, root)
    wide_attention = Softmax <axis = -1> (scaled)
    attention = CastLike (wide_attention, x)
    mixed = MatMul (attention, value)
    mixed_tokens = Transpose <perm = [0, 2, 1, 3]> (mixed)
    mixed_rows = Reshape (mixed_tokens, flat)
    out_columns = Transpose <perm = [1, 0]> (out_w)
    projected = MatMul (mixed_rows, out_columns)

    wide_tokens = Cast <to = 1> (tokens)
    wide_projected = Cast <to = 1> (projected)
    wide_out_b = Cast <to = 1> (out_b)
    biased = Add (wide_projected, wide_out_b)
    joined = Add (wide_tokens, biased)
    wide_norm_w = Cast <to = 1> (norm_w)
    wide_norm_b = Cast <to = 1> (norm_b)
    normed = LayerNormalization <axis = -1, epsilon: float = @epsilon> (joined, wide_norm_w, wide_norm_b)
    normed_rows = Transpose <perm = [0, 2, 1]> (normed)
    wide_out = Reshape (normed_rows, shape)
    out = CastLike (wide_out, x)
}
"""

# What the exporter writes for `training.models.conv_cut.TokenAttention`.
PLAIN_FORMS = (
    """
<domain: "plain", opset_import: ["" : 18]>
TokenAttention (
    x, flat, qkv_columns, qkv_b, split_shape, zero, one, two, three, axis, root, rows_shape,
    out_columns, out_b, norm_w, norm_b, shape
) => (out)
{
    rows = Reshape (x, flat)
    tokens = Transpose <perm = [0, 2, 1]> (rows)
    product = MatMul (tokens, qkv_columns)
    qkv = Add (product, qkv_b)
    parts = Reshape (qkv, split_shape)
    ordered = Transpose <perm = [2, 0, 3, 1, 4]> (parts)
    query_part = Slice (ordered, zero, one, axis)
    query = Squeeze (query_part, axis)
    key_part = Slice (ordered, one, two, axis)
    key = Squeeze (key_part, axis)
    value_part = Slice (ordered, two, three, axis)
    value = Squeeze (value_part, axis)
    key_columns = Transpose <perm = [0, 1, 3, 2]> (key)
    scores = MatMul (query, key_columns)
    scaled = Div (scores, root)
    attention = Softmax <axis = -1> (scaled)
    mixed = MatMul (attention, value)
    mixed_tokens = Transpose <perm = [0, 2, 1, 3]> (mixed)
    mixed_rows = Reshape (mixed_tokens, rows_shape)
    projected = MatMul (mixed_rows, out_columns)
    biased = Add (projected, out_b)
    joined = Add (tokens, biased)
    normed = LayerNormalization <axis = -1> (joined, norm_w, norm_b)
    normed_rows = Transpose <perm = [0, 2, 1]> (normed)
    out = Reshape (normed_rows, shape)
}
""",
)


def node_parts(match: Match) -> NodeParts:
    """Weights and attributes of the node that replaces a match."""
    w = match.weights
    attributes = {a.name: helper.get_attribute_value(a) for a in match.nodes["normed"].attribute}
    return NodeParts(
        inputs={
            "qkv_w": w["qkv_columns"].T,
            "qkv_b": w["qkv_b"],
            "out_w": w["out_columns"].T,
            "out_b": w["out_b"],
            "norm_w": w["norm_w"],
            "norm_b": w["norm_b"],
        },
        attributes={"heads": int(w["split_shape"][3]), "epsilon": float(attributes["epsilon"])},
    )
