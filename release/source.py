"""The same bytes of a source distribution from each checkout: setuptools keeps the times of the files."""

import gzip
import io
import tarfile
from pathlib import Path


def set_times(archive: Path, seconds: int) -> None:
    """Rewrites a .tar.gz: files in the order of their names, all of one time and of no owner."""
    tar_bytes = io.BytesIO()
    with (
        tarfile.open(archive) as source,
        tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as out,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = seconds, 0, 0, "", ""
            # What the permissions of a checkout say beyond "executable" depends on the umask.
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            # They repeat the times with fractions of a second.
            member.pax_headers = {}
            out.addfile(member, source.extractfile(member) if member.isfile() else None)
    archive.write_bytes(gzip.compress(tar_bytes.getvalue(), mtime=seconds))
