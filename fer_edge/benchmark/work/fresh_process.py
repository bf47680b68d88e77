"""Fresh processes: the times of a start, and the peak memory of one kind of work.

The files of the package are in the page cache of the system, because earlier processes have read them: a
first start after booting takes longer.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# Of a process; JSON.
Settings = dict[str, str | int]

# The clock starts before anything of ours is imported. VmHWM is the peak of this program; ru_maxrss would
# include what the parent had in memory.
_BEGIN = """
import json, sys, time
settings = json.loads(sys.argv[1])
times = [time.perf_counter()]
"""
_END = """
later = []
for _ in range(20):
    start = time.perf_counter()
    query()
    later.append(time.perf_counter() - start)
memory = dict.fromkeys(("VmHWM:", "VmRSS:"), 0.0)
for name, *values in map(str.split, open("/proc/self/status")):
    if name in memory:
        memory[name] = int(values[0]) / 1024
print(json.dumps([times, sorted(later)[10], *memory.values()]))
"""
_WORK = {
    "frame": """
import fer_edge
times.append(time.perf_counter())
recognizer = fer_edge.Recognizer(settings["model"], detector=settings["detector"],
                                 backend=settings["backend"], threads=settings["threads"])
times.append(time.perf_counter())
import numpy
frame = numpy.load(settings["frame"])
loaded = time.perf_counter()
recognizer(frame)
# Reading the frame belongs to nobody's start.
times.append(time.perf_counter() - (loaded - times[-1]))
query = lambda: recognizer(frame)
""",
    "network": """
from fer_edge import models
from fer_edge.backends import opener_for
model = models.load(settings["model"], "expression")
network = opener_for(settings["backend"])(model, settings["threads"])
def query():
    network.reserve((settings["batch"], 1, model.spec.size, model.spec.size)).fill(0)
    network.run()
""",
}
STAGES = ("import", "constructor", "first result")


@dataclass(frozen=True, slots=True)
class FreshProcess:
    """What a process measured of itself.

    Attributes:
        stages_ms: of each of STAGES; empty for the work "network".
        later_ms: median of the later queries.
        peak_mb, resident_mb: memory, the largest so far and that at the end.
    """

    stages_ms: list[float]
    later_ms: float
    peak_mb: float
    resident_mb: float


def run_fresh(settings: Settings) -> FreshProcess:
    """Does the work of `settings` in a new process.

    Raises:
        RuntimeError: the process failed; the message has the last line of its output.
    """
    script = _BEGIN + _WORK[str(settings["work"])] + _END
    command = [sys.executable, "-c", script, json.dumps(settings)]
    # The folder of the package, so that the child imports the same one, wherever it is started.
    folder = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise RuntimeError(f"a fresh process failed with exit code {done.returncode}: {last}")
    times, later, peak, resident = json.loads(done.stdout)
    stages = [1e3 * (end - start) for start, end in pairwise(times)]
    return FreshProcess(stages, 1e3 * later, peak, resident)
