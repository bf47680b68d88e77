"""Watts of an NVIDIA Jetson: the INA3221 monitors in sysfs, else the program tegrastats.

Rails are those of the module, not of the carrier board. The total is the rail of the whole input where there
is one (VDD_IN on Orin Nano, Orin NX and Xavier NX; POM_5V_IN on Nano), else the sum of all rails, as on AGX
Orin. Sources: Linux kernel documentation, hwmon/ina3221; NVIDIA Jetson Linux Developer Guide, "Platform Power
and Performance". Nothing here has run on a Jetson; the tests read recorded files.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from fer_edge.benchmark.measure.loop import Clock

ROOT = Path("/")
TEGRASTATS = "tegrastats"
INTERVAL_S = 0.1
INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
CHANNELS = (1, 2, 3)
# "VDD_IN 4940mW/4921mW", and "VDD_IN 4940/4921" of JetPack 4: now and on average, in milliwatts.
_RAIL = re.compile(r"\b((?:V|POM_)[A-Z0-9_]+) (\d+)(?:mW)?/\d+(?:mW)?")

Watts = Mapping[str, float]  # by rail


class Meter(Protocol):
    """Reads the power while something runs."""

    name: str

    def start(self) -> None:
        """Forgets earlier readings."""

    def poll(self) -> None:
        """Takes a reading, if the meter does not take them itself."""

    def stop(self) -> list[Watts]:
        """Returns the readings since the start."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Mean power while queries ran one after the other."""

    watts: float
    rails: dict[str, float]
    joules_per_query: float
    readings: int


def find_meter(root: Path = ROOT, tegrastats: str = TEGRASTATS) -> Meter | None:
    """The power meter of this machine, None if it has none that this process may read."""
    channels = list(_channels(root))
    if channels:
        return Ina3221(channels)
    command = shutil.which(tegrastats)
    return None if command is None else Tegrastats(command)


class Ina3221:
    """The monitors of the board, read through sysfs: volts and amperes of up to three rails each."""

    name = "INA3221"

    def __init__(self, channels: Sequence[tuple[str, Path, Path]]) -> None:
        self._channels = channels
        self._readings: list[Watts] = []

    def start(self) -> None:
        self._readings = []

    def poll(self) -> None:
        # Millivolts times milliamperes.
        reading = {name: _number(volts) * _number(amperes) / 1e6 for name, volts, amperes in self._channels}
        self._readings.append(reading)

    def stop(self) -> list[Watts]:
        return self._readings


class Tegrastats:
    """NVIDIA's program, which prints a line for each interval."""

    name = "tegrastats"

    def __init__(self, command: str) -> None:
        self._command = command
        self._output: IO[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        # A file, because a pipe that nobody reads would fill and stop the program. `stop` closes it.
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        command = [self._command, "--interval", str(round(INTERVAL_S * 1e3))]
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.DEVNULL, text=True)

    def poll(self) -> None:
        pass

    def stop(self) -> list[Watts]:
        if self._process is None or self._output is None:
            return []
        self._process.terminate()
        self._process.wait()
        with self._output as output:
            output.seek(0)
            readings = [watts_from_line(line) for line in output]
        return [reading for reading in readings if reading]


def measure_energy(
    meter: Meter, query: Callable[[], object], seconds: float, clock: Clock = time.perf_counter
) -> Energy | None:
    """Runs queries alone for some seconds; None if the meter gave no reading."""
    meter.start()
    start = clock()
    polled, queries, now = start, 0, start
    try:
        while now - start < seconds:
            query()
            queries += 1
            now = clock()
            if now - polled >= INTERVAL_S:
                meter.poll()
                polled = now
    finally:
        readings = meter.stop()
    if not readings:
        return None
    rails = {name: sum(reading[name] for reading in readings) / len(readings) for name in readings[0]}
    watts = total(rails)
    return Energy(watts, rails, watts * (now - start) / queries, len(readings))


def total(rails: Watts) -> float:
    """Watts of the whole module."""
    for name in INPUT_RAILS:
        if name in rails:
            return rails[name]
    return sum(rails.values())


def watts_from_line(line: str) -> Watts:
    """The rails of a line of tegrastats."""
    return {name: int(milliwatts) / 1e3 for name, milliwatts in _RAIL.findall(line)}


def _channels(root: Path) -> Sequence[tuple[str, Path, Path]]:
    """Name, file of millivolts and file of milliamperes of each rail."""
    found = []
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(folder / "name") != "ina3221":
            continue
        for channel in CHANNELS:
            label = _text(folder / f"in{channel}_label")
            files = (folder / f"in{channel}_input", folder / f"curr{channel}_input")
            # NC is a channel that is not connected.
            if label and label != "NC" and all(_text(file) for file in files):
                found.append((label, *files))
    return found


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _text(path: Path) -> str:
    """The content of a file of sysfs; empty if it is not there or this user may not read it."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
