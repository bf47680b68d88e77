"""The packages that apt has installed, from dpkg's list."""

from fer_edge.device.files import Files

STATUS = "var/lib/dpkg/status"


def read_packages(files: Files) -> dict[str, str]:
    """Name -> version of each installed package; empty on a system without dpkg."""
    found = {}
    for paragraph in files.text(STATUS).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if _is_field(line))
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            found[fields["Package"]] = fields.get("Version", "")
    return found


def upstream_version(version: str) -> str:
    """The version without what Debian adds: "10.3.0.30-1+cuda12.5" is "10.3.0.30"."""
    return version.split(":")[-1].split("-")[0].split("+")[0]


def _is_field(line: str) -> bool:
    # The other fields have a line each, too, but only these three are needed.
    return line.startswith(("Package: ", "Status: ", "Version: "))
