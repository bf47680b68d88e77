"""The workers of a job: actors of Ray Data, on this machine or on a cluster. Only this module knows Ray."""

import logging
import os
import pickle
import secrets
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_edge.backends.cuda.device import DeviceError
from fer_edge.bulk.recognize import UnitRecognizer, failed
from fer_edge.bulk.units import Unit
from fer_edge.cli.stop_signals import graceful_stop
from fer_edge.installation.repair_commands import install_extra
from fer_edge.models import ModelError

# A unit whose worker dies is done again this many times, before its inputs are done one by one.
RETRIES = 2
STARTS = 4
# Only results pass through Ray's store of objects; this is the least that it accepts, rounded up.
STORE_BYTES = 100 << 20
# Read by Ray when it is imported: no statistics of use, no progress bars, no warning about a future default.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# On this machine all ports are bound to 127.0.0.1. Ray has this switch for firewalls of desktops.
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# What a worker returns for a unit: the results as an Arrow stream, or why it cannot recognise at all.
ROW = pa.schema(
    [("number", pa.int64()), ("table", pa.large_binary()), ("failure", pa.string()), ("bug", pa.string())]
)

MakeRecognizer = Callable[[], UnitRecognizer]


@contextmanager
def ray_session(address: str | None, cpus: int) -> Iterator[int]:
    """Starts Ray on this machine with so many CPUs, or connects to a cluster; yields the number of its CPUs.

    Raises:
        ImportError: Ray is missing.
        ConnectionError: there is no cluster at the address.
        TimeoutError: Ray does not start.
    """
    os.environ.update(ENVIRONMENT)
    if address is None:
        # A secret of this job, which Ray would else keep in a file of the user.
        os.environ.update(LOOPBACK_ONLY | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f"bulk jobs need Ray: {install_extra('bulk')} ({error})") from error
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        options |= {"num_cpus": cpus, "num_gpus": 0, "include_dashboard": False}
        options["object_store_memory"] = STORE_BYTES
    with _quiet():
        _start(partial(ray.init, address or "local", **options))
        try:
            # After ray.init, which takes over SIGTERM.
            with graceful_stop():
                yield int(ray.cluster_resources().get("CPU", 0))
        finally:
            ray.shutdown()


def _start(init: Callable[[], object], attempts: int = STARTS) -> None:
    """Starts Ray; on a busy machine its processes may need longer than the 30 s that it waits for them."""
    try:
        init()
    except Exception as error:
        # Ray raises no narrower class in this case.
        if type(error) is not Exception:
            raise
        if attempts == 1:
            raise TimeoutError(f"Ray did not start: {error}") from error
        _start(init, attempts - 1)


def tables_of_units(
    units: Mapping[int, Unit],
    make_recognizer: MakeRecognizer,
    schema: pa.Schema,
    *,
    workers: int,
    threads: int,
) -> Iterator[tuple[int, pa.Table]]:
    """Yields number and results of each unit, in the order in which they are done.

    A unit whose worker dies is done again by another one. If it dies again and again, the inputs are done one
    by one, and an input with which it still does so gets an error.

    Raises:
        ModelError: a worker has no usable model, another one than the job, or a library is missing there.
    """
    lost = set(units)
    for number, table in _map(units, make_recognizer, workers, threads, queued=1):
        lost.discard(number)
        yield number, table
    if lost:
        yield from _one_by_one(
            {number: units[number] for number in sorted(lost)}, make_recognizer, schema, workers, threads
        )


def _one_by_one(
    units: Mapping[int, Unit], make_recognizer: MakeRecognizer, schema: pa.Schema, workers: int, threads: int
) -> Iterator[tuple[int, pa.Table]]:
    owners = [(number, single) for number, unit in units.items() for single in unit.split()]
    singles = {n: single for n, (_, single) in enumerate(owners)}
    # Without a queue, a worker that dies takes no other input with it.
    tables = dict(_map(singles, make_recognizer, workers, threads, queued=0))
    message = f"the process that read it was killed {RETRIES + 1} times; is it damaged, or too large?"
    parts: dict[int, list[pa.Table]] = {}
    for n, (number, single) in enumerate(owners):
        table = tables[n] if n in tables else failed(single, message, schema)
        parts.setdefault(number, []).append(table)
    for number, part in parts.items():
        yield number, pa.concat_tables(part)


class _Worker:
    """An actor: one recogniser, and a unit at a time."""

    def __init__(self, make_recognizer: MakeRecognizer) -> None:
        self._make_recognizer = make_recognizer
        self._recognize: UnitRecognizer | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        (number,), (unit,) = batch["number"].to_pylist(), batch["unit"].to_pylist()
        table, failure, bug = None, None, None
        try:
            if self._recognize is None:
                self._recognize = self._make_recognizer()
            table = _bytes_from_table(self._recognize(pickle.loads(unit)))
        except (ModelError, DeviceError, ImportError) as error:
            failure = str(error)
        except Exception:  # noqa: BLE001 (raised again by the job; Ray would lose it)
            bug = traceback.format_exc()
        values: dict[str, Any] = {"number": number, "table": table, "failure": failure, "bug": bug}
        return pa.Table.from_pylist([values], ROW)


def _map(
    units: Mapping[int, Unit], make_recognizer: MakeRecognizer, workers: int, threads: int, *, queued: int
) -> Iterator[tuple[int, pa.Table]]:
    import ray.data
    from ray.util.annotations import RayDeprecationWarning

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # What failed is missing in the results, and `tables_of_units` sees that.
    context.max_errored_blocks = -1
    rows = [{"number": number, "unit": pickle.dumps(unit)} for number, unit in units.items()]
    items = ray.data.from_items(rows, override_num_blocks=len(rows))
    with warnings.catch_warnings():
        # There is no other way yet to limit the retries of a unit, see the extra `bulk` in pyproject.toml.
        warnings.simplefilter("ignore", category=RayDeprecationWarning)
        done = items.map_batches(
            _Worker,
            fn_constructor_args=(make_recognizer,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1 + queued
            ),
            num_cpus=threads,
            ray_remote_args_fn=lambda: {"max_task_retries": RETRIES},
        )
    # With prefetching, a result would wait for the next one before it is written.
    for batch in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for row in batch.to_pylist():
            if row["failure"] is not None:
                raise ModelError(row["failure"])
            if row["bug"] is not None:
                raise RuntimeError(f"a worker failed:\n{row['bug']}")
            yield row["number"], _table_from_bytes(row["table"])


def _bytes_from_table(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _table_from_bytes(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


@contextmanager
def _quiet() -> Iterator[None]:
    """Drops what Ray and native code write to stdout and stderr; it is also in Ray's log files."""
    # It stays open: Ray's loggers keep it.
    nothing = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    with redirect_stdout(nothing), redirect_stderr(nothing):
        saved = os.dup(2)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
