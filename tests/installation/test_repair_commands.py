"""The commands that mend an installation: another one in a checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fer_edge


@pytest.mark.parametrize("checkout", [True, False])
def test_the_commands_that_fix_fit_the_kind_of_installation(checkout: bool, tmp_path: Path) -> None:
    package = Path(fer_edge.__file__).parent
    shutil.copytree(package, tmp_path / "fer_edge", ignore=shutil.ignore_patterns("weights", "*.so", "*.pyc"))
    command = restore = "pip install --force-reinstall --no-deps fer_edge"
    extra = "pip install 'fer_edge[gpu]'"
    if checkout:
        extra = f"pip install -e '{tmp_path}[gpu]'"
        (tmp_path / "pyproject.toml").touch()
        command, restore = f"pip install -e {tmp_path}", f"git -C {tmp_path} restore fer_edge/weights"
    code = (
        "from fer_edge.cli.doctor import command as doctor\n"
        "from fer_edge.installation import repair_commands as commands\n"
        "print(commands.IN_CHECKOUT, commands.REINSTALL, commands.RESTORE, commands.install_extra('gpu'), "
        "doctor.SUMS, sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    sums = tmp_path / "fer_edge/weights/SHA256SUMS"
    assert done.stdout == f"{checkout}|{command}|{restore}|{extra}|{sums}\n"
