"""float16 files are measured with each float16 tensor rounded, which ONNX Runtime alone does not do."""

import numpy as np
import onnx

from export.certificates.networks import OnnxNetwork, outputs_of

# float16 has steps of 2 above 2048, so the sum loses what is smaller. 26624 are the bits of float16's 2048.
GRAPH = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 4] input) => (float[N, 4] output)
<float16 large = {26624}>
{
    half = Cast <to = 10> (input)
    sum = Add (half, large)
    difference = Sub (sum, large)
    output = Cast <to = 1> (difference)
}
"""


def test_float16_sums_are_rounded():
    file = onnx.parser.parse_model(GRAPH).SerializeToString()
    x = np.array([[0.25, 1.0, 1.5, 3.0]], np.float32)
    np.testing.assert_array_equal(outputs_of(OnnxNetwork(file, as_graph=True), x)[0], [[0, 0, 2, 4]])


def test_float16_ends_are_rounded():
    graph = GRAPH.replace("float[N, 4]", "float16[N, 4]").replace("half = Cast <to = 10>", "half = Identity")
    file = onnx.parser.parse_model(graph.replace("output = Cast <to = 1>", "output = Identity"))
    x = np.array([[2049.0, 1 + 2**-12, 0, 0]], np.float32)
    got = outputs_of(OnnxNetwork(file.SerializeToString(), as_graph=True), x)[0]
    np.testing.assert_array_equal(got, [[2048, 0, 0, 0]])
