"""Networks on an NVIDIA GPU, by TensorRT or TensorRT for RTX.

Work that comes again is a CUDA graph: the expression network for each batch size, the detector for each input
size that came twice. A batch between two sizes is padded up. NVIDIA: a context must not be changed after it
was captured, so each graph has a context of its own.

An engine for an accelerator takes one input size only. A smaller input is padded up to it, as the letterbox
of the detector pads an input to the next multiple.
"""

from collections import OrderedDict
from contextlib import ExitStack

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends.base import Plane, Sampling, plane_on_host
from fer_edge.backends.cuda.frame import DevicePlane
from fer_edge.backends.cuda.memory import ThreadSets, Work
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.plan_files import Plan
from fer_edge.backends.engines.surface import Bindings
from fer_edge.backends.trt_execution import Engine, Execution, Shape, arrays_from_bytes
from fer_edge.models import ModelError, ModelFile
from fer_edge.running_calls import CLOSED

BATCHES = (1, 2, 4, 8, 16, 32)
# Graphs that a network keeps; each has buffers of its own. A camera needs two or three for its frame size.
MAX_GRAPHS = 16
# Input sizes of which it is known that they came once.
MAX_SEEN = 64


class TrtBackend:
    """One engine, which any thread may run; the threads take turns on one stream.

    Args:
        session: the GPU.
        model: the network.
        bindings: of the plan's product.
        plan: of the network, verified.
        gpu: this machine's.

    Raises:
        ModelError: the plan cannot be loaded.
        DeviceError: the GPU refuses.
    """

    def __init__(
        self, session: Session, model: ModelFile, bindings: Bindings, plan: Plan, gpu: Gpu | None
    ) -> None:
        self._session = session
        self._path = model.path
        self._profiles = plan.sidecar.key.profiles
        self._works = ThreadSets(lambda: Work(session.device, session.stream))
        self._free: dict[int, Execution] = {}  # profile -> the execution for shapes without a graph
        self._graphs: OrderedDict[Shape, Execution] = OrderedDict()
        self._seen: OrderedDict[Shape, None] = OrderedDict()
        self._plan = plan
        with session.exclusive():
            self._engine: Engine | None = Engine(session, bindings, plan, gpu)
            try:
                if model.spec.role == "expression":
                    one = (1, model.spec.size, model.spec.size)
                    for batch in BATCHES:
                        if self._profile((batch, *one)) is not None:
                            self._capture((batch, *one))
                self._engine.keep_kernels()
            except BaseException:
                self._free_all()
                raise

    def reserve(self, shape: Shape) -> F32:
        given = self._works.mine().input
        with self._session.exclusive():
            given.reserve(shape)
        return given.host

    def sample(self, plane: Plane, matrices: F32, sides: tuple[int, int], sampling: Sampling) -> None:
        device_plane = plane if isinstance(plane, DevicePlane) else self._session.plane(plane_on_host(plane))
        given = self._works.mine().input
        with self._session.exclusive():
            given.reserve((len(matrices), 1, *self._padded(sides)))
            self._session.sample(device_plane, matrices, given, sampling)

    def sampled(self) -> F32:
        given = self._works.mine().input
        with self._session.exclusive():
            mark = given.download()
        if mark is not None:
            self._session.wait_for(mark)
        return given.host

    def takes(self, shape: Shape) -> bool:
        """Whether the engine was built for an input of this shape."""
        return self._profile(shape) is not None

    def changed(self) -> None:
        self._works.mine().input.changed()

    def run(self) -> list[F32]:
        self._require_engine()
        count, *one = self._works.mine().input.shape
        most = max((b for b in BATCHES if self._profile((b, *one)) is not None), default=1)
        parts = [self._run_rows(row, min(most, count - row)) for row in range(0, max(count, 1), most)]
        return parts[0] if len(parts) == 1 else [_joined(outputs) for outputs in zip(*parts, strict=True)]

    def close(self) -> None:
        if self._engine is not None:
            with self._session.exclusive():
                self._free_all()

    def info(self) -> dict[str, object]:
        key = self._plan.sidecar.key
        return {
            "backend": key.product,
            "version": key.product_version,
            "provider": self._session.device.name,
            "threads": 0,
            "engine": str(self._plan.path),
            "graphs": len(self._graphs),
            "sampling": self._session.sample.name,
            "frames": "read in place" if self._session.in_place else "copied",
        }

    def _run_rows(self, row: int, count: int) -> list[F32]:
        """Runs on some rows of the thread's input."""
        session, work = self._session, self._works.mine()
        shape = (next(b for b in BATCHES if b >= count), *work.input.shape[1:])
        with session.exclusive():
            execution = self._execution(shape)
            answers = work.answers(execution.output_size)
            work.input.copy_rows(row, count, execution.input_address)
            execution.launch()
            session.stream.download(answers, execution.output_address)
            mark = session.stream.mark()
            # Once the next thread is let in, the execution may be for another shape.
            layout = execution.layout
        session.wait_for(mark)
        return arrays_from_bytes(answers, layout, count)

    def _execution(self, shape: Shape) -> Execution:
        """The graph for an input shape, else the execution for any shape."""
        if (captured := self._graphs.get(shape)) is not None:
            self._graphs.move_to_end(shape)
            return captured
        if shape in self._seen:
            del self._seen[shape]
            return self._capture(shape)
        self._seen[shape] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        profile = self._require_profile(shape)
        if profile not in self._free:
            self._free[profile] = Execution(self._require_engine(), profile)
        self._free[profile].bind(shape)
        return self._free[profile]

    def _capture(self, shape: Shape) -> Execution:
        if len(self._graphs) >= MAX_GRAPHS:
            self._session.stream.synchronize()
            self._graphs.popitem(last=False)[1].close()
        execution = Execution(self._require_engine(), self._require_profile(shape), eager=True)
        try:
            execution.bind(shape)
            execution.capture()
        except BaseException:
            execution.close()
            raise
        self._graphs[shape] = execution
        return execution

    def _padded(self, sides: tuple[int, int]) -> tuple[int, int]:
        """The sides of an input that holds one of these sides: larger ones only if there is one size."""
        fixed = self._fixed_sides()
        return fixed if fixed and sides[0] <= fixed[0] and sides[1] <= fixed[1] else sides

    def _fixed_sides(self) -> tuple[int, int] | None:
        """The height and width of every input, if there is one size only."""
        (smallest, largest), *others = ((p.min[-2:], p.max[-2:]) for p in self._profiles)
        if others or smallest != largest:
            return None
        return largest[0], largest[1]

    def _profile(self, shape: Shape) -> int | None:
        """The profile for an input shape."""
        return next((i for i, profile in enumerate(self._profiles) if profile.contains(shape)), None)

    def _require_profile(self, shape: Shape) -> int:
        profile = self._profile(shape)
        if profile is None:
            ranges = "; ".join(f"{list(p.min)} to {list(p.max)}" for p in self._profiles)
            fix = "build it without --dla" if self._fixed_sides() else "build it again"
            raise ModelError(f"{self._plan.path} takes inputs of {ranges}, got {list(shape)}; {fix}")
        return profile

    def _require_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError(CLOSED)
        return self._engine

    def _free_all(self) -> None:
        engine, self._engine = self._engine, None
        executions = [*self._free.values(), *self._graphs.values()]
        self._free.clear()
        self._graphs.clear()
        # In the reverse order, and all of it also where the device is lost.
        with ExitStack() as stack:
            if engine is not None:
                stack.callback(engine.close)
            for execution in executions:
                stack.callback(execution.close)
            stack.callback(self._session.stream.synchronize)


def _joined(parts: tuple[F32, ...]) -> F32:
    joined: F32 = np.concatenate(parts)
    return joined
