"""The two networks of a Recognizer on an NVIDIA GPU."""

import os
from concurrent.futures import CancelledError
from contextlib import ExitStack
from threading import Event
from typing import Any

from fer_edge.arrays import U8
from fer_edge.backends.base import Networks
from fer_edge.backends.cuda.frame import DevicePlane
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines import storage
from fer_edge.backends.engines.gpu import Gpu, this_gpu
from fer_edge.backends.engines.key import Options, key_for
from fer_edge.backends.engines.plan_files import Plan, UnusablePlanError
from fer_edge.backends.engines.plans import plan_for, ready_plan
from fer_edge.backends.engines.plugins.registration import wanted as plugins_wanted
from fer_edge.backends.engines.products import PRODUCTS, Product, load, target_for
from fer_edge.backends.networks import CpuNetworks, Request
from fer_edge.backends.switching import SwitchingNetworks
from fer_edge.backends.trt import TrtBackend
from fer_edge.backends.warmup import warm_up
from fer_edge.models import ModelError, ModelFile


def on_gpu(name: str, request: Request) -> Networks:
    """Returns the networks on a GPU by the product of this name; raises as networks_for."""
    product = PRODUCTS[name]
    # What is missing is said now, also where the plans are built in the background.
    load(product)
    session = Session(in_place=os.environ.get("FER_EDGE_MAPPED_FRAMES") == "1")
    cancelled = Event()

    def make() -> GpuNetworks:
        return GpuNetworks(session, request, product, cancelled)

    if request.build == "background":
        return SwitchingNetworks(CpuNetworks(request), session, make, cancelled, fallback=request.fallback)
    networks = make()
    if not request.fallback:
        return networks
    return SwitchingNetworks(CpuNetworks(request), session, networks, cancelled, fallback=True)


class GpuNetworks:
    """On one GPU. The session is closed with them, and if they cannot be made.

    Args:
        session: the GPU.
        request: what is wanted.
        product: TensorRT or TensorRT for RTX.
        cancelled: set it to stop a build.

    Raises: as networks_for, and CancelledError.
    """

    def __init__(self, session: Session, request: Request, product: Product, cancelled: Event) -> None:
        self.session = session
        self._opened: list[TrtBackend] = []
        try:
            bindings, gpu = load(product), this_gpu()
            for model in (request.expression, request.detector):
                plan = plan_of(model, product, request, gpu, cancelled)
                self._opened.append(TrtBackend(session, model, bindings, plan, gpu))
                warm_up(self._opened[-1], model, self._opened[-1].takes)
                if cancelled.is_set():
                    raise CancelledError("the Recognizer was closed")
        except BaseException:
            self.close()
            raise
        self.expression, self.detector = self._opened

    def plane(self, luma: U8) -> DevicePlane:
        return self.session.plane(luma)

    def plane_on_device(self, frame: Any, layout: str | None) -> DevicePlane | None:
        return self.session.plane_on_device(frame, layout)

    def info(self) -> dict[str, object]:
        return self.expression.info()

    def close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.session.close)
            for network in self._opened:
                stack.callback(network.close)


def plan_of(model: ModelFile, product: Product, request: Request, gpu: Gpu | None, cancelled: Event) -> Plan:
    """The plan of a network: from the folder or the user's cache, else built there."""
    target = target_for("this", product.name)
    key = key_for(model, target, load(product).__version__, gpu, Options(plugins=plugins_wanted()))
    folder = request.engines or storage.default_root() / key.environment()
    try:
        return ready_plan(model, product, folder, gpu, plugins=key.options.plugins)
    except UnusablePlanError as error:
        if request.build == "never":
            raise ModelError(f"{error}; run fer-edge build, or leave build='never' out") from error
    return plan_for(model, target, folder, options=key.options, cancelled=cancelled)
