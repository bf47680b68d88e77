"""Prints what TensorRT's parser hands to the creator of a custom node.

``python found_creator.py FILE.onnx NAME ATTRIBUTE...``. The process ends in the creator, because a plugin
that lacks a method would end it anyway.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import tensorrt_rtx_bindings as trt


class Creator(trt.IPluginCreatorV3One):
    """A creator of plugins that makes none."""

    def __init__(self, name: str, attributes: list[str]) -> None:
        super().__init__()
        self.name, self.plugin_namespace, self.plugin_version = name, "fer_edge", "1"
        kinds = {"epsilon": trt.PluginFieldType.FLOAT32}
        fields = [trt.PluginField(a, b"", kinds.get(a, trt.PluginFieldType.INT32)) for a in attributes]
        self.field_names = trt.PluginFieldCollection(fields)

    def create_plugin(self, name: str, fields: object, phase: object) -> None:
        given = {field.name: np.asarray(field.data).ravel().tolist() for field in fields}
        print(json.dumps({"creator": self.name, "attributes": given}), flush=True)
        os._exit(0)


def main() -> None:
    file, name, *attributes = sys.argv[1:]
    creator = Creator(name, attributes)
    assert trt.get_plugin_registry().register_creator(creator, "fer_edge")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    trt.OnnxParser(network, logger).parse(Path(file).read_bytes())


if __name__ == "__main__":
    main()
