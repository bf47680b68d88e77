"""Makes the plugins known to TensorRT: its parser finds them by namespace, name and version of a node."""

import ctypes
import os
from typing import Any

import numpy as np

from fer_edge.backends.cuda.kernels import compiled_kernels
from fer_edge.backends.engines.plugins.blocks import BLOCKS, Block
from fer_edge.backends.engines.plugins.plugin import NAMESPACE, VERSION, fields, plugin_class
from fer_edge.backends.engines.surface import Bindings
from fer_edge.models import ModelError

SWITCH = "FER_EDGE_PLUGINS"
# The parser of TensorRT for RTX 1.7 opens its library by this name at the first plugin, and ends the process
# if it does not find it. NVIDIA's wheel has only the name with a version.
OPENED_BY_PARSER = {"tensorrt_rtx": "libtensorrt_rtx.so", "tensorrt_rtx_bindings": "libtensorrt_rtx.so"}
# TensorRT does not keep Python's objects alive. Name of the bindings -> what was registered.
_registered: dict[str, list[Any]] = {}


def wanted() -> bool:
    """Whether the user has switched plugins on."""
    return os.environ.get(SWITCH) == "1"


def register_for_builds(bindings: Bindings) -> None:
    """Registers the plugins with a product, once for a process; no kernels are needed.

    Raises:
        ModelError: the product cannot take them; the message has the fix.
    """
    library = OPENED_BY_PARSER.get(bindings.__name__)
    if library is not None:
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise ModelError(
                f"the parser of {bindings.__name__} {bindings.__version__} needs {library} for plugins, got "
                f"{error}; make a link of this name to {library}.1 in a folder of LD_LIBRARY_PATH, see "
                "docs/deploy.md"
            ) from error
    _register(bindings)


def register_for_runs(bindings: Bindings) -> None:
    """As `register_for_builds`, for a plan that is there; raises ModelError if there are no kernels."""
    if compiled_kernels() is None:
        raise ModelError(
            "an engine with plugins needs the kernels fer_edge._cuda, which are not built; install with "
            f"FER_EDGE_CUDA=1, see docs/kernels.md, or build the engine without {SWITCH}=1"
        )
    _register(bindings)


def _register(bindings: Bindings) -> None:
    if bindings.__name__ in _registered:
        return
    creators = [_creator(bindings, block) for block in BLOCKS]
    for creator in creators:
        if not bindings.get_plugin_registry().register_creator(creator, NAMESPACE):
            raise ModelError(f"{bindings.__name__} refuses the plugin {NAMESPACE}::{creator.name}")
    _registered[bindings.__name__] = creators


def _creator(bindings: Bindings, block: Block) -> Any:
    base: Any = bindings.IPluginCreatorV3One
    make = plugin_class(bindings, block)

    class Creator(base):  # type: ignore[misc]
        """Makes plugins from the attributes of a node, or from what a plan holds of them."""

        def __init__(self) -> None:
            base.__init__(self)
            self.name, self.plugin_namespace, self.plugin_version = block.name, NAMESPACE, VERSION
            self.field_names = fields(bindings, block, {})

        def create_plugin(self, name: str, given: Any, phase: Any) -> Any:
            values = {field.name: np.asarray(field.data).ravel()[0].item() for field in given}
            return make({name: values[name] for name in block.attributes})

    return Creator()
