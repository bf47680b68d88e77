"""The source distribution of a release: the same bytes from each checkout."""

import os
import tarfile
from pathlib import Path

import pytest

from release.source import make_reproducible


def _archive(folder: Path, *, seconds: float, mask: int, names: tuple[str, ...]) -> Path:
    """A source distribution of a checkout that was made at some time, with a umask."""
    tree = folder / "fer_edge-0.1.0"
    tree.mkdir(parents=True)
    for name in names:
        (tree / name).write_text(name)
        (tree / name).chmod((0o777 if name.endswith(".sh") else 0o666) & ~mask)
        os.utime(tree / name, (seconds, seconds))
    archive = folder / "fer_edge-0.1.0.tar.gz"
    tree.chmod(0o777 & ~mask)
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as out:
        out.add(tree, tree.name, recursive=False)
        for name in names:
            out.add(tree / name, f"{tree.name}/{name}")
    return archive


def test_checkouts_of_other_times_and_permissions_give_the_same_bytes(tmp_path: Path) -> None:
    first = _archive(tmp_path / "a", seconds=1.7e9 + 0.25, mask=0o022, names=("setup.py", "run.sh"))
    second = _archive(tmp_path / "b", seconds=1.6e9, mask=0o077, names=("run.sh", "setup.py"))
    assert first.read_bytes() != second.read_bytes()
    for archive in (first, second):
        make_reproducible(archive, 1_750_000_000)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        files = {member.name: member for member in archive.getmembers()}
        assert {name: file.mode for name, file in files.items()} == {
            "fer_edge-0.1.0": 0o755,
            "fer_edge-0.1.0/run.sh": 0o755,
            "fer_edge-0.1.0/setup.py": 0o644,
        }
        assert {file.mtime for file in files.values()} == {1_750_000_000}
        assert archive.extractfile("fer_edge-0.1.0/setup.py").read() == b"setup.py"


def test_a_link_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a", seconds=1.7e9, mask=0o022, names=("setup.py",))
    (tmp_path / "link").symlink_to("setup.py")
    with tarfile.open(archive, "w:gz") as out:
        out.add(tmp_path / "link", "fer_edge-0.1.0/link")
    with pytest.raises(ValueError, match=r"fer_edge-0\.1\.0/link is neither a file nor a folder"):
        make_reproducible(archive, 1_750_000_000)
