"""What the benchmark of the GPU kernels measures and counts: cases, timers, costs, resources."""
