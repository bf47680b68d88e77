"""Kernels compiled ahead of time, launched through pycuda: neither Triton nor PyTorch is needed.

```python
from fer_edge.cubins import Cubins

with Cubins("kernels") as cubins, cubins.current():
    attention = cubins.operation("token_attention", channels=256, height=4, width=4, dtype="fp16")
    memory = {name: pycuda.driver.mem_alloc(b.size(images)) for name, b in attention.buffers.items()}
    attention(images, memory, pycuda.driver.Stream())
```

The folder comes from ``python -m export.kernels_ahead_of_time``; ``python -m fer_edge.cubins DIR`` checks it.
Needs `pip install 'fer_edge[cubins]'` and CUDA's driver, both first when a `Cubins` is made.
"""

from fer_edge.cubins.launch import Cubins, LoadedOperation
from fer_edge.cubins.manifest import Buffer, Manifest

__all__ = ["Buffer", "Cubins", "LoadedOperation", "Manifest"]
