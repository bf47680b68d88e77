"""List, verify or prune built engines, in FOLDER or in the user's cache.

`verify` and `list` exit with 1 if an engine is damaged or does not fit this machine; `prune` deletes those,
and exits with 1 if something wrong is left. A folder into which another process builds is left for later.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fer_edge.argument_types import nonempty_path
from fer_edge.backends.engines import storage
from fer_edge.backends.engines.gpu import this_gpu
from fer_edge.backends.engines.inventory import Entry, entries, folders_below, remove
from fer_edge.models import ModelError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `engines`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("list", "each engine with what it is for, or what is wrong with it"),
        ("verify", "only what is wrong"),
        ("prune", "delete what is wrong"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument(
            "folder", nargs="?", type=nonempty_path, metavar="FOLDER", help="default: the user's cache"
        )
        action.set_defaults(action=name, json=False)
        if name == "list":
            action.add_argument("--json", action="store_true", help="print the sidecars as one JSON array")


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge engines` and returns its exit code."""
    root = options.folder or storage.default_root()
    if options.folder is not None and not root.is_dir():
        print(f"fer-edge: {root} is no folder", file=sys.stderr)
        return 2
    try:
        folders = folders_below(root) if root.is_dir() else []
        return _prune(folders) if options.action == "prune" else _show(folders, options)
    except ModelError as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return 1


def _entries(folders: list[Path]) -> tuple[list[Entry], list[Path]]:
    """What lies in the folders, and those that another process has locked: of these only what is whole."""
    gpu = this_gpu()
    found, busy = [], []
    for folder in folders:
        with storage.undisturbed(folder) as free:
            found += [entry for entry in entries(folder, gpu) if free or not entry.problem]
            if not free:
                busy.append(folder)
    return found, busy


def _show(folders: list[Path], options: argparse.Namespace) -> int:
    found, busy = _entries(folders)
    for folder in busy:
        print(f"fer-edge: {storage.in_use(folder)}", file=sys.stderr)
    if options.json:
        print(json.dumps([_record(entry) for entry in found], indent=2))
    for entry in () if options.json else found:
        if entry.problem or options.action == "list":
            print(_line(entry), file=sys.stderr if options.action == "verify" else sys.stdout)
    wrong = sum(1 for entry in found if entry.problem)
    if options.action == "verify":
        print(f"{len(found) - wrong} as they were built, {wrong} not")
    return 1 if wrong or busy else 0


def _prune(folders: list[Path]) -> int:
    done = [_prune_folder(folder) for folder in folders]
    return 0 if all(done) else 1


def _prune_folder(folder: Path) -> bool:
    """Deletes what is wrong; returns whether nothing wrong is left."""
    gpu, kept = this_gpu(), 0
    # A folder in order is not written to, not even a lock.
    if not any(entry.problem for entry in entries(folder, gpu)):
        return True
    try:
        with storage.locked_at_once(folder):
            for entry in [entry for entry in entries(folder, gpu) if entry.problem]:
                if entry.ours:
                    remove(entry)
                    print(f"deleted {_line(entry)}")
                else:
                    kept += 1
                    why = "kept, because no sidecar says whose it is; delete it yourself, or build it again"
                    print(f"fer-edge: {why}: {_line(entry)}", file=sys.stderr)
    except ModelError as error:
        # The other folders are pruned.
        print(f"fer-edge: {error}", file=sys.stderr)
        return False
    return not kept


def _record(entry: Entry) -> dict[str, object]:
    sidecar = asdict(entry.sidecar) if entry.sidecar else None
    return {"path": str(entry.path), "problem": entry.problem, "sidecar": sidecar}


def _line(entry: Entry) -> str:
    text = str(entry.path)
    if entry.sidecar:
        key = entry.sidecar.key
        what = f"{key.product} {key.product_version} for {key.gpu.name if key.gpu else key.target}"
        text += f": {key.precision}, {what}, {entry.sidecar.size / 1e6:.1f} MB"
    return f"{text}: {entry.problem}" if entry.problem else text
