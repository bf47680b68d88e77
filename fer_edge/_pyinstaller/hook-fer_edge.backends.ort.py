"""ONNX Runtime, which fer_edge imports by name; its own hook adds its shared libraries."""

hiddenimports = ["onnxruntime", "onnxruntime.capi.onnxruntime_pybind11_state"]
