"""The parts of `export.kernels_ahead_of_time`: which kernels, their binaries, the manifest."""
