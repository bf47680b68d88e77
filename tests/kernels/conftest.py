"""Triton's kernels run in its interpreter here: it reads the variable when a kernel is defined."""

import os

os.environ["TRITON_INTERPRET"] = "1"
