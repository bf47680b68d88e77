"""The expression network alone: SingleStream, MultiStream and Offline, as MLPerf Inference defines them.

A query is a batch of prepared faces, which is copied into the input of the network and run. Reading, finding
and aligning faces is not part of it; EndToEnd has that.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends import opener_for
from fer_edge.backends.base import Backend
from fer_edge.backends.warmup import warm_up
from fer_edge.benchmark.measure.loop import Subject
from fer_edge.benchmark.work.candidate import Candidate, Variant
from fer_edge.benchmark.work.drawn_face import face_crop
from fer_edge.benchmark.work.peers.expression import Peer
from fer_edge.models import ModelSpec

# Faces of a query by scenario; Offline takes the batches that are asked for.
MULTI_STREAM_FACES = 8


class Networks:
    """The open networks of a run, and the peers beside them. `close` frees the networks."""

    def __init__(self, variants: Sequence[Variant], peers: Sequence[Peer]) -> None:
        self._opened = ExitStack()
        self._peers = peers
        self._networks: list[tuple[Variant, Backend]] = []
        for variant in variants:
            network = opener_for(variant.backend)(variant.model, variant.threads)
            self._opened.callback(network.close)
            warm_up(network, variant.model)
            self._networks.append((variant, network))

    def candidates(self, batch: int) -> list[Candidate]:
        """The networks and peers, with queries of so many faces."""
        ours = [_candidate(variant, network, batch) for variant, network in self._networks]
        return ours + [peer.candidate(batch) for peer in self._peers]

    def close(self) -> None:
        """Releases the networks."""
        self._opened.close()


def prepared_faces(spec: ModelSpec, batch: int) -> F32:
    """Network inputs float32 [batch, 1, S, S] that show drawn faces."""
    crop = (face_crop(spec.size).astype(np.float32) - np.float32(spec.mean)) * np.float32(spec.scale)
    return np.repeat(crop[None, None], batch, axis=0)


def query_from_network(network: Backend, inputs: F32) -> Callable[[], object]:
    """A query: the inputs are copied into the network's own, and run."""

    def query() -> object:
        network.reserve(inputs.shape)[:] = inputs
        return network.run()

    return query


def _candidate(variant: Variant, network: Backend, batch: int) -> Candidate:
    model, info = variant.model, network.info()
    return Candidate(
        name="network",
        subject=Subject(query_from_network(network, prepared_faces(model.spec, batch))),
        model=model.spec.name,
        precision=model.precision,
        backend=str(info["backend"]),
        threads=variant.threads,
        batch=batch,
        count=lambda: float(batch),
        fresh={
            "work": "network",
            "model": str(model.path.absolute()),
            "backend": variant.backend,
            "threads": variant.threads,
            "batch": batch,
        },
    )
