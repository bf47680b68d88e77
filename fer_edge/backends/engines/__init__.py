"""Engines: networks compiled for NVIDIA GPUs by TensorRT and TensorRT for RTX, and the cache that keeps them.

`plans.plan_for` is the door: it returns a plan that was verified, and builds it first where that is needed.
`surface.py` lists what is used of NVIDIA's API; nothing else is. Importing this room needs no NVIDIA package.
"""
