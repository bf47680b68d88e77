"""Builds the source distribution of the commit that is checked out: ``python -m release.source --out dist``.

Its bytes are the same from each checkout: setuptools would keep the times and permissions of the files, and
take what an earlier build has left in the folder.
"""

import argparse
import gzip
import io
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from release.building import ROOT, build_environment, run, source_date

BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the result (%(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        python = build_environment(Path(sys.executable), Path(folder) / "environment")
        source = source_distribution(python, Path(folder) / "source")
        print(shutil.move(source, options.out / source.name))


def source_distribution(python: Path, folder: Path) -> Path:
    """Builds it in a new folder, with the build requirements of an environment; returns its path."""
    commit, checkout = folder / "commit.tar", folder / "checkout"
    folder.mkdir()
    run("git", "-C", ROOT, "archive", "--output", commit, "HEAD")
    shutil.unpack_archive(commit, checkout)
    run(python, "-c", BUILD, folder, folder=checkout)
    source = next(folder.glob("*.tar.gz"))
    make_reproducible(source, int(source_date()))
    return source


def make_reproducible(archive: Path, seconds: int) -> None:
    """Rewrites a .tar.gz: entries in the order of their names, of one time, without owner, with the two usual
    permissions. Raises ValueError for an entry that is neither a file nor a folder.
    """
    tar_bytes = io.BytesIO()
    with (
        tarfile.open(archive) as source,
        tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as out,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive.name}: {member.name} is neither a file nor a folder")
            member.mtime, member.uid, member.gid, member.uname, member.gname = seconds, 0, 0, "", ""
            # What the permissions of a checkout say beyond "executable" depends on the umask.
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            # They repeat the times with fractions of a second.
            member.pax_headers = {}
            out.addfile(member, source.extractfile(member) if member.isfile() else None)
    archive.write_bytes(gzip.compress(tar_bytes.getvalue(), mtime=seconds))


if __name__ == "__main__":
    main()
