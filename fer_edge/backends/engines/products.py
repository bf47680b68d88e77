"""NVIDIA's two products, and the kinds of GPU that a plan can be built for."""

import importlib
import importlib.util
import re
from dataclasses import dataclass
from typing import Any, cast

from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.surface import Bindings
from fer_edge.installation.repair_commands import install_extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A builder and runtime of engines.

    Attributes:
        name: as in Recognizer(backend=...).
        modules: import names; the first that is installed is taken.
        plan_tag: first four bytes of its plans, little-endian.
        least: first supported version.
        below: first version that is not supported again.
        install: how to install it.
        times_kernels: whether it measures kernels while it builds, and keeps the results in a timing cache.
        precisions: that NVIDIA documents for convolutions on its GPUs.
    """

    name: str
    modules: tuple[str, ...]
    plan_tag: int
    least: tuple[int, ...]
    below: tuple[int, ...]
    install: str
    times_kernels: bool
    precisions: tuple[str, ...]


TENSORRT = Product(
    name="tensorrt",
    modules=("tensorrt",),
    plan_tag=0x74727466,
    least=(10, 3),
    below=(12,),
    install="on Jetson it is part of JetPack: make the virtual environment with --system-site-packages; "
    "elsewhere pip install tensorrt, see docs/deploy.md",
    times_kernels=True,
    precisions=("float32", "float16", "bfloat16", "int8"),
)
TENSORRT_RTX = Product(
    name="tensorrt-rtx",
    # The second is in the wheel of the bindings; the first is a source distribution that pulls that wheel.
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    plan_tag=0x74727476,
    least=(1, 7),
    below=(2,),
    install=install_extra("rtx"),
    times_kernels=False,
    # int8 is for the weights of matrix products only:
    # https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/getting-started/support-matrix.html
    precisions=("float32", "float16", "bfloat16"),
)
PRODUCTS = {product.name: product for product in (TENSORRT, TENSORRT_RTX)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a plan is built for.

    Attributes:
        name: as in `fer-edge build --for`.
        capability: member of TensorRT for RTX's ComputeCapability; None: the product's default.
        this_gpu: whether the plan is for the GPU of this machine only.
        runs_on: compute capabilities that can run the plan; empty if `this_gpu`.
        describe: the same as text.
    """

    name: str
    product: Product
    capability: str | None = None
    this_gpu: bool = False
    runs_on: tuple[int, ...] = ()
    describe: str

    def accepts(self, gpu: Gpu) -> bool:
        """Whether a plan for this target can run on a GPU, as far as its compute capability says."""
        return self.this_gpu or gpu.compute_capability in self.runs_on


_ONLY_THIS = "the GPU of this machine only"
TARGETS = (
    Target(
        name="rtx",
        product=TENSORRT_RTX,
        runs_on=(80, 86, 89, 120, 121),
        describe="GPUs of the generations Ampere, Ada and Blackwell (compute capability 8.0, 8.6, 8.9, 12.0, "
        "12.1), with TensorRT for RTX",
    ),
    Target(
        name="turing",
        product=TENSORRT_RTX,
        capability="SM75",
        runs_on=(75,),
        describe="GPUs of the generation Turing (compute capability 7.5), with TensorRT for RTX",
    ),
    Target(name="this", product=TENSORRT, this_gpu=True, describe=f"{_ONLY_THIS}, with TensorRT"),
    Target(
        name="this",
        product=TENSORRT_RTX,
        capability="CURRENT",
        this_gpu=True,
        describe=f"{_ONLY_THIS}, with TensorRT for RTX",
    ),
)
TARGET_NAMES = tuple(dict.fromkeys(target.name for target in TARGETS))


def target_for(name: str, product: str | None = None) -> Target:
    """Returns a target by its name, and by its product's name where that is given.

    "this" is for the product that is installed, TensorRT if both are.

    Raises:
        ValueError: there is no such target.
    """
    found = [t for t in TARGETS if t.name == name and product in (None, t.product.name)]
    if not found:
        of_product = f" of {product}" if product else ""
        raise ValueError(f"the target{of_product} must be one of {', '.join(TARGET_NAMES)}, got {name!r}")
    return next((target for target in found if _module(target.product)), found[0])


def installed_version(product: Product) -> str | None:
    """The version of a product on this machine; None if it is missing or not supported."""
    try:
        return load(product).__version__
    except ImportError:
        return None


def load(product: Product) -> Bindings:
    """Imports a product's Python bindings.

    Raises:
        ImportError: it is not installed, cannot be loaded, or has an unsupported version; the message has the
            fix.
    """
    name = _module(product)
    if name is None:
        raise ImportError(f"{product.name} is not installed; {product.install}")
    try:
        module: Any = importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ImportError(f"{name} cannot be loaded ({error}); {product.install}") from error
    if not product.least <= version_numbers(module.__version__) < product.below:
        bounds = f">= {_text(product.least)}, < {_text(product.below)}"
        found = f"{module.__version__} in {module.__file__}"
        raise ImportError(f"{product.name} must be {bounds}, found {found}; {product.install}")
    return cast(Bindings, module)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "10.13.3.9.post1" is (10, 13, 3, 9)."""
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*|", version)[0].split(".") if part)  # type: ignore[index]


def _module(product: Product) -> str | None:
    return next((name for name in product.modules if importlib.util.find_spec(name)), None)


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
