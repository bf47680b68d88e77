"""JetPack and Jetson Linux (L4T), from /etc/nv_tegra_release and the package nvidia-jetpack."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fer_edge.device.files import Files

RELEASE = "etc/nv_tegra_release"
# Each of these brings CUDA and TensorRT; a board is often delivered without.
PACKAGES = ("nvidia-jetpack", "nvidia-jetpack-runtime")
# Jetson Linux -> JetPack: https://developer.nvidia.com/embedded/jetpack-archive
JETPACKS = {
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "36.2.0": "6.0 DP",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "38.2.0": "7.0",
    "38.2.1": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JetPack:
    """The software of a Jetson.

    Attributes:
        linux: version of Jetson Linux, "36.4.3"; empty if it is not known.
        version: of JetPack, "6.2"; empty if it is not known.
        installed: whether JetPack's packages are installed, not only Jetson Linux.
    """

    linux: str
    version: str
    installed: bool


def read_jetpack(files: Files, packages: Mapping[str, str]) -> JetPack:
    """JetPack as the installed package says, else as Jetson Linux implies."""
    # "# R36 (release), REVISION: 4.3, GCID: ..."
    release = re.search(r"R(\d{1,4}) \(release\), REVISION: ([\d.]{1,20})", files.text(RELEASE))
    linux = f"{release[1]}.{release[2]}" if release else ""
    package = next((packages[name] for name in PACKAGES if name in packages), "")
    # "6.2+b77", "7.2.1-b49"
    version = re.split(r"[+-]", package)[0] or JETPACKS.get(linux, "")
    return JetPack(linux=linux, version=version, installed=bool(package))
