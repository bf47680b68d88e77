"""Launches kernels that were compiled ahead of time. Needs pycuda, but neither Triton nor PyTorch.

```python
from fer_edge.aot import CompiledKernels

with CompiledKernels("kernels") as kernels, kernels.current():
    attention = kernels.operation("token_attention", channels=256, height=4, width=4, dtype="fp16")
    memory = {name: pycuda.driver.mem_alloc(b.size(images)) for name, b in attention.buffers.items()}
    attention(images, memory, pycuda.driver.Stream())
```

``python -m export.kernels_ahead_of_time`` builds the folder and ``python -m fer_edge.aot DIR`` checks it.
`CompiledKernels` needs `pip install 'fer_edge[aot]'` and the CUDA driver; importing this package needs
neither.
"""

from fer_edge.aot.launch import CompiledKernels, LoadedOperation
from fer_edge.aot.manifest import Buffer, Manifest

__all__ = ["Buffer", "CompiledKernels", "LoadedOperation", "Manifest"]
