"""From ONNX Runtime to a GPU once its engines are built, between two frames, and back if the GPU fails.

A frame keeps the networks with which it began. If the GPU fails in a frame and a fall-back is wanted, its
input is made again on the CPU, which answers this frame and all later ones.
"""

import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, TypeVar

from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend, Networks, Plane, Sampling, plane_on_host
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.backends.cuda.session import Session
from fer_edge.models import ModelError

_logger = logging.getLogger("fer_edge")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SwitchingPlane:
    """The luma plane of a frame, and the networks with which the frame began."""

    networks: Networks
    plane: Plane  # of these networks

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""
        return self.plane.shape

    def on(self, networks: Networks) -> Plane:
        """The plane for the frame's networks, or on the CPU for others."""
        return self.plane if networks is self.networks else self.host()

    def host(self) -> U8:
        """The plane on the CPU."""
        return plane_on_host(self.plane)


class SwitchingNetworks:
    """The networks on the CPU and on a GPU, one pair of which answers.

    Args:
        cpu: answers at first, and after a failure of the GPU.
        session: the GPU.
        gpu: answers; or makes what will answer, in a thread.
        cancelled: stops the thread.
        fallback: whether the CPU answers if the GPU fails.
    """

    def __init__(
        self,
        cpu: Networks,
        session: Session,
        gpu: Networks | Callable[[], Networks],
        cancelled: threading.Event,
        *,
        fallback: bool,
    ) -> None:
        self._cpu = cpu
        self._session = session
        self._cancelled = cancelled
        self._fallback = fallback
        self._gpu: Networks | None = None
        self._failed: Networks | None = None
        self._state = ""
        self.current = cpu
        self.detector: Backend = SwitchingBackend(self, lambda networks: networks.detector)
        self.expression: Backend = SwitchingBackend(self, lambda networks: networks.expression)
        self._thread: threading.Thread | None = None
        if callable(gpu):
            self._state = "the engines are being built"
            self._thread = threading.Thread(
                target=self._make, args=(gpu,), name="fer_edge-engines", daemon=True
            )
            # A builder that is still at work when Python ends would crash.
            self._finalizer = weakref.finalize(self, _stop, cancelled, self._thread)
            self._thread.start()
        else:
            self._gpu = self.current = gpu

    def plane(self, luma: U8) -> SwitchingPlane:
        networks = self.current
        return SwitchingPlane(networks, networks.plane(luma))

    def plane_on_device(self, frame: Any, layout: str | None) -> SwitchingPlane | None:
        networks = self.current
        plane = self._session.plane_on_device(frame, layout)
        if plane is None:
            return None
        return SwitchingPlane(networks, plane.host() if networks is self._cpu else plane)

    def usable(self, networks: Networks) -> Networks:
        """The same networks, or the CPU's if they have failed."""
        return self._cpu if networks is self._failed else networks

    def fall_back(self, error: DeviceError) -> Networks:
        """Returns the CPU's networks, which answer from now on; raises the error if that is not wanted."""
        if not self._fallback:
            raise error
        if self._failed is None:
            _logger.warning("the CPU answers from now on: %s", error)
        self._failed, self.current = self._gpu, self._cpu
        self._state = f"the GPU has failed: {error}"
        return self._cpu

    def info(self) -> dict[str, object]:
        return self.current.info() | ({"gpu": self._state} if self._state else {})

    def close(self) -> None:
        if self._thread is not None:
            self._finalizer()
        self._cpu.close()
        try:
            # Networks that could not be made have closed the session.
            (self._gpu or self._session).close()
        except DeviceError as error:
            # A lost device cannot free its memory; the driver does, when the process ends.
            _logger.warning("%s", error)

    def _make(self, make: Callable[[], Networks]) -> None:
        try:
            self._gpu = make()
        except CancelledError:
            return
        except Exception as error:
            # Nobody waits for this thread. An unexpected error says little without its type and place.
            known = isinstance(error, ModelError | DeviceError | ImportError)
            reason = str(error) if known else repr(error)
            _logger.warning("the CPU goes on to answer: %s", reason, exc_info=not known)
            self._state = f"the engines cannot be used: {reason}"
            return
        self._state = ""
        self.current = self._gpu
        _logger.info("%s answers from the next frame on", self._gpu.info()["backend"])


class SwitchingBackend:
    """One network of `SwitchingNetworks`.

    Args:
        owner: decides which networks are used.
        pick: the network among them.
    """

    def __init__(self, owner: SwitchingNetworks, pick: Callable[[Networks], Backend]) -> None:
        self._owner = owner
        self._pick = pick
        self._local = threading.local()

    def reserve(self, shape: tuple[int, ...]) -> F32:
        array = self._make_input(self._owner.current, lambda networks: self._pick(networks).reserve(shape))
        self._local.host = array
        return array

    def sample(self, plane: Plane, matrices: F32, sides: tuple[int, int], sampling: Sampling) -> None:
        given = plane if isinstance(plane, SwitchingPlane) else self._owner.plane(plane_on_host(plane))
        self._local.host = None
        self._make_input(
            given.networks,
            lambda networks: self._pick(networks).sample(given.on(networks), matrices, sides, sampling),
        )

    def sampled(self) -> F32:
        try:
            self._local.host = self._used().sampled()
        except DeviceError as error:
            self._make_input(self._owner.fall_back(error), self._local.make)
            self._local.host = self._used().sampled()
        host: F32 = self._local.host
        return host

    def changed(self) -> None:
        self._used().changed()

    def run(self) -> list[F32]:
        try:
            return self._used().run()
        except DeviceError as error:
            cpu, host = self._owner.fall_back(error), self._local.host
            if host is None:
                self._make_input(cpu, self._local.make)
            else:
                # The caller has read it, or made it itself, and may have changed it.
                self._pick(cpu).reserve(host.shape)[...] = host
                self._local.networks = cpu
            return self._used().run()

    def close(self) -> None:
        self._owner.close()

    def info(self) -> dict[str, object]:
        return self._owner.info()

    def _used(self) -> Backend:
        """The network that holds the calling thread's input."""
        return self._pick(self._local.networks)

    def _make_input(self, wanted: Networks, make: Callable[[Networks], Result]) -> Result:
        networks = self._owner.usable(wanted)
        self._local.make = make
        try:
            made = make(networks)
        except DeviceError as error:
            networks = self._owner.fall_back(error)
            made = make(networks)
        self._local.networks = networks
        return made


def _stop(cancelled: threading.Event, thread: threading.Thread) -> None:
    cancelled.set()
    if thread.is_alive():
        thread.join()
