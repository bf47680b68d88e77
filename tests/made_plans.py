"""Plans made of a real header and filler, with their sidecars: the cache's rules need no NVIDIA library."""

import struct
from pathlib import Path

from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.key import Key, Options
from fer_edge.backends.engines.plan_files import Plan, write_plan
from fer_edge.backends.engines.profiles import Profile
from fer_edge.backends.engines.sidecar import Binding, Built, sidecar_for

# The first 32 bytes of a plan that TensorRT for RTX 1.7.1.116 wrote.
RTX_HEADER = bytes.fromhex("7674727400000000020000000000000044405600000000000107017476747274")
ORIN = Gpu(name="Orin", compute_capability=87, multiprocessors=16, driver="12.6")
RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", compute_capability=89, multiprocessors=128, driver="13.0")
TURING = Gpu(name="NVIDIA GeForce RTX 2080", compute_capability=75, multiprocessors=46, driver="13.0")
ONE = (1, 1, 16, 16)
KEY = Key(
    model_sha256="a" * 64,
    precision="float32",
    product="tensorrt-rtx",
    product_version="1.7.1.116",
    target="rtx",
    platform="linux-x86_64",
    gpu=None,
    profiles=(Profile(ONE, ONE, ONE),),
    options=Options(),
    recipe=1,
)
BUILT = Built(
    inputs=(Binding(name="input", dtype="float32", shape=(-1, 1, 16, 16)),),
    outputs=(Binding(name="logits", dtype="float32", shape=(-1, 8)),),
    precisions={"float32": 1},
    inspected=False,
    seconds=12.3,
)


def tensorrt_header(*version: int) -> bytes:
    """The header of a plan of TensorRT, as documented in issue threads: tag, and version at byte 24."""
    return struct.pack("<I20x4B", 0x74727466, *version)


def make_plan(folder: Path, name: str = "face", key: Key = KEY, header: bytes = RTX_HEADER) -> Plan:
    """Writes NAME.plan and NAME.json into a private folder."""
    folder.mkdir(mode=0o700, exist_ok=True)
    data = header + bytes(range(256)) * 8
    return write_plan(folder, name, data, sidecar_for(data, key, BUILT))
