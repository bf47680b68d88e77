"""Runs the scenarios one after the other. Within one, all subjects take turns."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_edge import models
from fer_edge.benchmark.measure.board import machine
from fer_edge.benchmark.measure.loop import Clock, Turns, measure_in_turns
from fer_edge.benchmark.measure.power import Meter, find_meter, measure_energy
from fer_edge.benchmark.measure.statistics import rounded, summarise
from fer_edge.benchmark.result import Result, Row, Scenario, kept
from fer_edge.benchmark.settings import Settings
from fer_edge.benchmark.work.candidate import Candidate, Variant
from fer_edge.benchmark.work.clips import Clip, clip_from_photo, clip_from_video, drawn_clip
from fer_edge.benchmark.work.cold_start import cold_starts
from fer_edge.benchmark.work.frames import Frames
from fer_edge.benchmark.work.fresh_process import run_fresh
from fer_edge.benchmark.work.networks import MULTI_STREAM_FACES, Networks
from fer_edge.benchmark.work.peers.expression import OnnxPeer, Peer
from fer_edge.benchmark.work.peers.yunet import YuNet

ENERGY_S = 5.0  # that each subject runs alone for its power
# Gets what is being measured, and the share of it that is done.
OnProgress = Callable[[str, float], None]


class Run:
    """One run of the benchmark.

    Args:
        settings: what is measured.
        on_progress: is told how far a scenario is.
        clock: returns seconds; for tests.
        meter: of power; None: none.
    """

    def __init__(
        self,
        settings: Settings,
        on_progress: OnProgress = lambda name, share: None,
        clock: Clock = time.perf_counter,
        meter: Meter | None = None,
    ) -> None:
        self._settings, self._on_progress, self._clock, self._meter = settings, on_progress, clock, meter
        self._variants = [
            Variant(models.load(name, "expression"), backend, threads)
            for name in settings.models
            for backend in settings.backends
            for threads in settings.threads
        ]

    def result(self) -> Result:
        """Measures everything.

        Raises:
            ModelError: a model or a peer cannot be used.
            ImportError: an engine or a peer is not installed.
            OSError, ValueError: the video or picture cannot be read.
            RuntimeError: a fresh process failed.
        """
        before = machine()
        rows: list[Row] = []
        for scenario in self._settings.scenarios:
            rows += self._rows(scenario)
        context = before | {"load_average_after": machine()["load_average"]}
        context["power_meter"] = None if self._meter is None else self._meter.name
        return Result(context, _plain(asdict(self._settings)), tuple(rows))

    def _rows(self, scenario: Scenario) -> Iterator[Row]:
        if scenario == "ColdStart":
            yield from self._cold_start()
        elif scenario == "EndToEnd":
            for clip in self._clips():
                with self._frames(clip) as candidates:
                    yield from self._measure(scenario, candidates)
        else:
            batches = {"SingleStream": [1], "MultiStream": [MULTI_STREAM_FACES]}
            with self._networks() as networks:
                for batch in batches.get(scenario, self._settings.batches):
                    yield from self._measure(scenario, networks.candidates(batch))

    def _measure(self, scenario: Scenario, candidates: Sequence[Candidate]) -> Iterator[Row]:
        name = scenario if not candidates[0].input else f"{scenario}, {candidates[0].input}"
        all_turns = measure_in_turns(
            [candidate.subject for candidate in candidates],
            self._settings.limits(scenario),
            self._clock,
            lambda share: self._on_progress(name, share),
        )
        self._on_progress(name, 1.0)
        for candidate, turns in zip(candidates, all_turns, strict=True):
            yield self._row(scenario, candidate, turns)

    def _row(
        self,
        scenario: Scenario,
        candidate: Candidate,
        turns: Turns,
        stages: dict[str, float] | None = None,
        peak_mb: float | None = None,
    ) -> Row:
        summary = summarise(turns, self._settings.limits(scenario))
        faces = candidate.count()
        in_a_query = 1 if scenario == "EndToEnd" else candidate.batch
        low, high = summary.interval["mean"]
        energy = None
        if self._meter is not None and scenario != "ColdStart":
            energy = measure_energy(self._meter, candidate.subject.run, ENERGY_S, self._clock)
        if stages is None:
            stages = candidate.stages()
        if peak_mb is None and candidate.fresh is not None:
            peak_mb = run_fresh(candidate.fresh).peak_mb
        return Row(
            scenario=scenario,
            subject=candidate.name,
            model=candidate.model,
            precision=candidate.precision,
            backend=candidate.backend,
            threads=candidate.threads,
            batch=candidate.batch,
            input=candidate.input,
            faces=round(faces, 2),
            queries=summary.queries,
            seconds=summary.seconds,
            ms=summary.ms,
            ms_95=summary.interval,
            rate=rounded(1e3 * in_a_query / summary.ms["mean"]),
            rate_95=(rounded(1e3 * in_a_query / high), rounded(1e3 * in_a_query / low)),
            stages={stage: rounded(milliseconds) for stage, milliseconds in stages.items()},
            peak_mb=None if peak_mb is None else round(peak_mb, 1),
            watts=None if energy is None else rounded(energy.watts),
            joules_per_face=None if energy is None or not faces else rounded(energy.joules_per_query / faces),
            unstable=summary.unstable,
            turns_ms=kept(turns),
        )

    def _cold_start(self) -> Iterator[Row]:
        limits = self._settings.limits("ColdStart")
        with tempfile.TemporaryDirectory(prefix="fer_edge-") as folder:
            starts = cold_starts(
                self._variants,
                self._settings.detector,
                Path(folder),
                limits.queries,
                lambda share: self._on_progress("ColdStart", share),
            )
        for start in starts:
            yield self._row("ColdStart", start.candidate, start.turns, start.stages, start.peak_mb)

    def _clips(self) -> Iterator[Clip]:
        settings = self._settings
        if settings.video is not None:
            yield clip_from_video(settings.video)
        elif settings.photo is not None:
            yield clip_from_photo(settings.photo)
        else:
            for faces in settings.faces:
                yield drawn_clip(faces, *settings.frame)

    @contextmanager
    def _networks(self) -> Iterator[Networks]:
        settings = self._settings
        peers: list[Peer] = []
        if settings.peer is not None:
            peers = [OnnxPeer(settings.peer, settings.peer_input, threads) for threads in settings.threads]
        with closing(Networks(self._variants, peers)) as networks:
            yield networks

    @contextmanager
    def _frames(self, clip: Clip) -> Iterator[list[Candidate]]:
        settings = self._settings
        with tempfile.TemporaryDirectory(prefix="fer_edge-") as folder:
            ours = Frames(self._variants, settings.detector, clip, Path(folder), self._clock)
            with closing(ours):
                yield ours.candidates + self._frame_peers(clip)

    def _frame_peers(self, clip: Clip) -> list[Candidate]:
        settings = self._settings
        if settings.yunet is None:
            return []
        found = []
        for threads in settings.threads:
            found.append(YuNet(settings.yunet, clip, threads).candidate())
            if settings.peer is not None:
                reader = OnnxPeer(settings.peer, settings.peer_input, threads)
                found.append(YuNet(settings.yunet, clip, threads, reader).candidate())
        return found


def measured(settings: Settings, on_progress: OnProgress) -> Result:
    """Measures on this machine, with its power meter if it has one."""
    return Run(settings, on_progress, meter=find_meter()).result()


def _plain(value: Any) -> Any:
    """Settings as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    # Only the name: a path may say more about the user than a result should.
    return value.name if isinstance(value, Path) else value
