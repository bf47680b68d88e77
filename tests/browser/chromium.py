"""Finds Chromium, or installs Debian's where that is possible.

    python -m tests.browser.chromium

Prints its path. The wheels of playwright and selenium hold no browser, and would download one from elsewhere;
so it is the one of the system.
"""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NEEDED = "the browser tests need Chromium: install the package chromium, or set CHROMIUM to the path of one"
# Another program may hold the lock of the packages.
APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")


def find() -> str | None:
    """Returns the path of Chromium, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    path = find()
    if path is None:
        _install()
        path = find()
    if path is None or not os.access(path, os.X_OK):
        raise SystemExit(f"{NEEDED}{'' if path is None else f'; {path} cannot be run'}")
    print(path)


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"{NEEDED} (only root can install it here, with apt-get)")
    for arguments in (("update",), ("install", "--yes", "--no-install-recommends", "chromium")):
        done = subprocess.run(
            [*APT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode:
            last = done.stdout.strip().splitlines()[-1:]
            raise SystemExit(f"{NEEDED} (apt-get {arguments[0]} failed: {''.join(last)})")


if __name__ == "__main__":
    main()
