"""Counters and durations of a stream for Prometheus, served on this machine."""

from typing import TYPE_CHECKING

from fer_edge.installation.repair_commands import install_extra

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamResult

HOST = "127.0.0.1"
# Upper bounds of the histogram in seconds: from a followed face to a slow board.
BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """Serves the metrics of one stream at http://127.0.0.1:PORT/metrics until `close`.

    Args:
        port: 0 takes a free one.

    Raises:
        ImportError: prometheus_client is missing.
        OSError: the port is in use, or this user may not use it.
        ValueError: the port is no port.
    """

    def __init__(self, port: int) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"--metrics must be a port, 0 to 65535, got {port}")
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise ImportError(
                f"--metrics needs prometheus_client ({error}); {install_extra('metrics')}"
            ) from error
        # Not the global registry: a program may use it for its own metrics.
        registry = prometheus.CollectorRegistry()
        counter, namespace = prometheus.Counter, "fer_edge"
        common = {"namespace": namespace, "registry": registry}
        self._frames = counter("frames", "Processed frames.", **common)
        self._dropped = counter("dropped_frames", "Frames of a live source that were dropped.", **common)
        self._faces = prometheus.Gauge("faces", "Faces in the last frame.", **common)
        self._seen = counter("faces_seen", "Faces, added up over the frames.", **common)
        self._abstentions = counter(
            "abstentions", "Faces whose expression could not be read, by reason.", ["reason"], **common
        )
        self._events = counter("events", "Events, by kind and expression.", ["kind", "label"], **common)
        self._searches = counter("searches", "Searches of the whole frame, by reason.", ["reason"], **common)
        self._stages = prometheus.Histogram(
            "stage_seconds", "Durations of the stages of a frame.", ["stage"], buckets=BUCKETS_S, **common
        )
        try:
            self._server, self._thread = prometheus.start_http_server(port, addr=HOST, registry=registry)
        except OSError as error:
            raise OSError(f"--metrics cannot listen on {HOST}:{port}: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_port)

    def frame(self, result: "StreamResult") -> None:
        """Counts a frame."""
        self._frames.inc()
        self._dropped.inc(result.dropped)
        self._faces.set(len(result.faces))
        self._seen.inc(len(result.faces))
        for face in result.faces:
            if face.abstain_reason is not None:
                self._abstentions.labels(face.abstain_reason).inc()
        for event in result.events:
            self._events.labels(event.kind, event.label or "").inc()
        if result.searched is not None:
            self._searches.labels(result.searched).inc()
        for stage, milliseconds in result.timings.items():
            self._stages.labels(stage).observe(milliseconds / 1e3)

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
