"""The CUDA toolkit, from its version.json or from its packages."""

import json
import re
from collections.abc import Mapping

from fer_edge.device.debian_packages import upstream_version
from fer_edge.device.files import Files

VERSION = "usr/local/cuda/version.json"


def read_cuda(files: Files, packages: Mapping[str, str]) -> str:
    """The version of the toolkit that is selected, "12.6.11"; empty if there is none."""
    try:
        # {"cuda": {"name": "CUDA SDK", "version": "12.6.11"}, "cuda_nvcc": ...}
        return str(json.loads(files.text(VERSION))["cuda"]["version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    # Not each JetPack has that file.
    found = [name for name in packages if re.fullmatch(r"cuda-toolkit-\d+-\d+", name)]
    return max((upstream_version(packages[name]) for name in found), key=_numbers, default="")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", version)]
