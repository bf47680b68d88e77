"""The precisions of an exported file, each a pass over the float32 graph."""

PRECISIONS = ("fp32", "fp16", "int8-cpu", "int8-trt")
