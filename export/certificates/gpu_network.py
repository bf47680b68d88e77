"""One network on an NVIDIA GPU, for measuring; a Recognizer has two of them and a frame."""

from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event

from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines.gpu import this_gpu
from fer_edge.backends.engines.products import PRODUCTS, load
from fer_edge.backends.gpu_networks import plan_of
from fer_edge.backends.networks import Request
from fer_edge.backends.trt import TrtBackend
from fer_edge.models import ModelFile


class GpuNetwork(TrtBackend):
    """A network with a session of its own. Its engine comes from a folder, or is built there.

    Args:
        product: a name of `PRODUCTS`.
        model: the network.
        engines: the folder; None: the user's cache.

    Raises:
        ImportError: TensorRT or pycuda is not installed.
        ModelError: the network or its engine cannot be used.
        DeviceError: the GPU cannot be used.
    """

    def __init__(self, product: str, model: ModelFile, engines: Path | None) -> None:
        bindings, request = load(PRODUCTS[product]), Request(model, model, None, engines, "block", False)
        with ExitStack() as stack:
            session = stack.enter_context(closing(Session()))
            gpu = this_gpu()
            plan = plan_of(model, PRODUCTS[product], request, gpu, Event())
            super().__init__(session, model, bindings, plan, gpu)
            self._session_of_its_own = stack.pop_all()

    def close(self) -> None:
        with self._session_of_its_own:
            super().close()
