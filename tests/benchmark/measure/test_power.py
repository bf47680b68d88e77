"""Watts from recorded sensors of Jetson boards, and energy by a made clock."""

from pathlib import Path

import pytest
from ticking import TickingClock

from fer_edge.benchmark.measure.power import (
    Ina3221,
    Tegrastats,
    find_meter,
    measure_energy,
    total,
    watts_from_line,
)

# Label, millivolts, milliamperes of each channel.
ORIN_NANO = (("VDD_IN", 4920, 1004), ("VDD_CPU_GPU_CV", 4920, 152), ("VDD_SOC", 4912, 288))
AGX_ORIN = (
    (("VDD_GPU_SOC", 19816, 120), ("VDD_CPU_CV", 19816, 40), ("VIN_SYS_5V0", 4968, 953)),
    (("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4968, 80), ("NC", 0, 0)),
)
LINES = {
    "orin-nano": (
        "07-18-2024 10:22:01 RAM 2530/7620MB (lfb 20x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@729,0%@729,"
        "100%@1510,0%@729,2%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] NVENC off VIC_FREQ 0 APE 200 "
        "cpu@48.5C soc2@47.5C soc0@46.8C gpu@47.3C tj@48.5C soc1@46.9C VDD_IN 4940mW/4921mW "
        "VDD_CPU_GPU_CV 748mW/736mW VDD_SOC 1417mW/1417mW",
        {"VDD_IN": 4.94, "VDD_CPU_GPU_CV": 0.748, "VDD_SOC": 1.417},
    ),
    "agx-orin": (
        "RAM 13983/62780MB (lfb 424x4MB) CPU [90%@2201] GR3D_FREQ 14%@[407,407] CPU@77.281C VDD_GPU_SOC "
        "3150mW/2971mW VDD_CPU_CV 14312mW/12415mW VIN_SYS_5V0 4968mW/5048mW VDDQ_VDD2_1V8AO 1091mW/1091mW",
        {"VDD_GPU_SOC": 3.15, "VDD_CPU_CV": 14.312, "VIN_SYS_5V0": 4.968, "VDDQ_VDD2_1V8AO": 1.091},
    ),
    "nano, JetPack 4": (
        "RAM 1903/3956MB (lfb 1x4MB) CPU [3%@102,2%@102,1%@102,0%@102] PLL@37C CPU@40C PMIC@100C "
        "POM_5V_IN 1890/1890 POM_5V_GPU 40/40 POM_5V_CPU 201/201",
        {"POM_5V_IN": 1.89, "POM_5V_GPU": 0.04, "POM_5V_CPU": 0.201},
    ),
    "no rails": ("RAM 1903/3956MB (lfb 1x4MB) CPU [3%@102]", {}),
}


def write_monitor(root: Path, number: int, channels: tuple[tuple[str, int, int], ...]) -> None:
    """One INA3221 as the kernel shows it."""
    folder = root / f"sys/class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text("ina3221\n")
    for channel, (label, millivolts, milliamperes) in enumerate(channels, 1):
        (folder / f"in{channel}_label").write_text(f"{label}\n")
        (folder / f"in{channel}_input").write_text(f"{millivolts}\n")
        (folder / f"curr{channel}_input").write_text(f"{milliamperes}\n")
    (folder / "in7_label").write_text("sum of shunt voltages\n")


def write_tegrastats(path: Path) -> str:
    """A program that prints a recorded line, as tegrastats does until it is ended."""
    line = LINES["orin-nano"][0]
    path.write_text(
        f"#!/bin/sh\n[ $1 = --interval ] || exit 2\necho '{line}'\necho '{line}'\nexec sleep 60\n"
    )
    path.chmod(0o755)
    return str(path)


def test_an_orin_nano(tmp_path: Path) -> None:
    write_monitor(tmp_path, 1, ORIN_NANO)
    meter = find_meter(tmp_path)
    assert isinstance(meter, Ina3221)
    meter.start()
    meter.poll()
    (reading,) = meter.stop()
    assert reading == pytest.approx({"VDD_IN": 4.93968, "VDD_CPU_GPU_CV": 0.74784, "VDD_SOC": 1.414656})
    # The rail of the whole input, not the sum.
    assert total(reading) == pytest.approx(4.93968)


def test_an_agx_orin_has_two_monitors_and_no_rail_of_the_input(tmp_path: Path) -> None:
    for number, channels in enumerate(AGX_ORIN, 3):
        write_monitor(tmp_path, number, channels)
    meter = find_meter(tmp_path)
    assert meter is not None
    meter.start()
    meter.poll()
    (reading,) = meter.stop()
    assert list(reading) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]
    assert total(reading) == pytest.approx((19816 * 160 + 4968 * 1033) / 1e6)


def test_a_machine_without_a_meter(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/hwmon/hwmon0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("coretemp\n")
    assert find_meter(tmp_path, tegrastats=str(tmp_path / "none")) is None


@pytest.mark.parametrize("name", LINES)
def test_lines_of_tegrastats(name: str) -> None:
    line, expected = LINES[name]
    assert watts_from_line(line) == pytest.approx(expected)


def test_tegrastats_runs_and_is_ended(tmp_path: Path) -> None:
    command = write_tegrastats(tmp_path / "tegrastats")
    meter = find_meter(tmp_path, command)
    assert isinstance(meter, Tegrastats)
    meter.start()
    process = meter._process
    assert process is not None
    # Until both lines are in the file.
    while meter._output is not None and meter._output.seek(0, 2) < 2 * len(LINES["orin-nano"][0]):
        assert process.poll() is None
    readings = meter.stop()
    assert readings == [pytest.approx(LINES["orin-nano"][1])] * 2
    assert process.poll() is not None


def test_energy_of_a_query(tmp_path: Path) -> None:
    write_monitor(tmp_path, 1, ORIN_NANO)
    meter, clock = find_meter(tmp_path), TickingClock()
    assert meter is not None
    energy = measure_energy(meter, clock.work(20.0), 2.0, clock)
    assert energy is not None
    assert energy.watts == pytest.approx(4.93968)
    assert energy.joules_per_query == pytest.approx(4.93968 * 0.02)
    # A reading after five or six queries.
    assert 16 <= energy.readings <= 20


def test_a_meter_that_gives_nothing_is_no_zero(tmp_path: Path) -> None:
    class Silent(Ina3221):
        def poll(self) -> None:
            pass

    clock = TickingClock()
    assert measure_energy(Silent([]), clock.work(20.0), 1.0, clock) is None
