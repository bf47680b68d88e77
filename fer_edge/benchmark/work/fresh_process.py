"""Fresh processes: the times of a start, and the peak memory of one kind of work.

The files of the package are in the page cache of the system, because earlier processes have read them: a
first start after booting takes longer.
"""

import json
import subprocess
import sys
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
peak = 0.0
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        peak = int(line.split()[1]) / 1024
print(json.dumps({"times": times, "peak_mb": peak}))
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
for _ in range(20):
    recognizer(frame)
""",
    "network": """
from fer_edge import models
from fer_edge.backends import opener_for
model = models.load(settings["model"], "expression")
network = opener_for(settings["backend"])(model, settings["threads"])
for _ in range(20):
    network.reserve((settings["batch"], 1, model.spec.size, model.spec.size)).fill(0)
    network.run()
""",
}
STAGES = ("import", "constructor", "first result")


def run_fresh(settings: Settings) -> tuple[list[float], float]:
    """Does the work of `settings` in a new process.

    Returns the milliseconds of each of STAGES (only for the work "frame"), and the peak of the resident
    memory in MB.

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
    measured = json.loads(done.stdout)
    milliseconds = [1e3 * (end - start) for start, end in pairwise(measured["times"])]
    return milliseconds, measured["peak_mb"]
