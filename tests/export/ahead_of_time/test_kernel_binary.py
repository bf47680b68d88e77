"""Compiling single kernels: reproducible bytes, and errors for kernels that the loader cannot launch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys, tempfile
from dataclasses import replace
sys.path[:0] = sys.argv[1:]
from export.ahead_of_time.kernel_binary import Source, compile_kernel, prepare_process

def tried(source, architecture):
    try:
        made = compile_kernel(source, architecture)
    except RuntimeError as error:
        return str(error)
    except AssertionError:
        return "AssertionError"
    return [made.cubin.hex(), made.ptx.decode(), made.threads, made.shared_bytes]

scale = Source(
    operation="tiny", module="tiny_kernels", name="scale", digest="1", num_warps=2, num_stages=3,
    pointers=(("x", "fp16"), ("y", "fp16")), constants=(("factor", 0.5), ("channels", 512)),
)
multiply = replace(
    scale, name="multiply", pointers=(("x", "fp32"), ("y", "fp32")), constants=(("side", 128),), num_warps=8
)
with tempfile.TemporaryDirectory() as cache:
    prepare_process(cache)
    print(json.dumps({
        "once": tried(scale, 87),
        "twice": tried(scale, 87),
        "other order": tried(replace(scale, pointers=scale.pointers[::-1]), 87),
        "other constants": tried(replace(scale, constants=(("channels", 512),)), 87),
        "bad type": tried(replace(scale, constants=(("factor", 0.5), ("channels", 63))), 87),
        "no threads": tried(replace(scale, num_warps=0), 87),
        "large": tried(multiply, 80),
        "too large": tried(multiply, 86),
    }))
"""


@pytest.fixture(scope="module")
def tried() -> dict[str, list[str | int] | str]:
    """The result of each compilation, in one process without the interpreter."""
    clean = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    here = Path(__file__).parent
    words = (sys.executable, "-c", CODE, str(here.parents[1]), str(here))
    done = subprocess.run(words, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_same_bytes_twice(tried: dict[str, list[str | int] | str]) -> None:
    assert tried["once"] == tried["twice"]
    cubin, ptx, threads, shared = tried["once"]
    assert bytes.fromhex(cubin).startswith(b"\x7fELF")
    # Two pointers, the number of images, two pointers of Triton; 16-byte loads, as pointers are declared
    # aligned.
    assert ptx.count(".param .u") == 5
    assert "ld.global.v4.b32" in ptx
    assert (threads, shared) == (64, 0)


@pytest.mark.slow
def test_what_cannot_be_launched_is_refused(tried: dict[str, list[str | int] | str]) -> None:
    parameters = "scale must have the parameters "
    assert tried["other order"].startswith(
        f"{parameters}['y', 'x', 'images', 'factor', 'channels'], got ['x'"
    )
    assert tried["other constants"].startswith(f"{parameters}['x', 'y', 'images', 'channels'], got ")
    assert tried["bad type"].startswith("tiny-scale-")
    assert " cannot be compiled for sm_87: " in tried["bad type"]
    # Triton checks its options itself, with an assertion.
    assert tried["no threads"] == "AssertionError"
    shared = tried["large"][3]
    assert 99 * 1024 < shared <= 163 * 1024
    assert tried["too large"].endswith(
        f" for sm_86 must need at most {99 * 1024} bytes of shared memory, got {shared}"
    )
