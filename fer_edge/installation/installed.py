"""Which distributions own an import package, and the pip command that mends a bad installation of it.

pip lets several distributions own the same files: opencv-python and opencv-python-headless both install cv2,
and onnxruntime and onnxruntime-gpu both install onnxruntime. The last one overwrites the others, and
uninstalling any of them leaves a part of the rest.
"""

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# import name -> what installs it where nothing does. The bounds are those of pyproject.toml: the first
# releases that run with NumPy 1 and with NumPy 2.
REQUIREMENTS = {
    "numpy": "numpy>=1.24",
    "onnxruntime": "onnxruntime>=1.19",
    "cv2": "opencv-python-headless>=4.10.0.84",
}
# Which of several distributions is kept: the one with the most features. Any other is kept before the last.
_PREFERRED = {
    "cv2": ("opencv-contrib-python", "opencv-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime-gpu",),
}
_LAST = ("opencv-python-headless", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Owner:
    """An installed distribution."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def owners(module: str) -> list[Owner]:
    """Returns the distributions that own an import package, the one to keep first.

    Only those in the folder that Python imports it from: a copy in another folder is hidden, not overwritten.
    """
    found: dict[Path, dict[str, Owner]] = {}
    for distribution in _distributions_with(module):
        folder = Path(str(distribution.locate_file(""))).resolve()
        owner = Owner(_normalized(distribution.metadata["Name"]), distribution.version)
        found.setdefault(folder, {})[owner.name] = owner
    here = _folder(module)
    if here is None:
        # All files are lost.
        in_one_folder = next(iter(found.values()), {})
    else:
        in_one_folder = found.get(here.resolve(), {})
    return sorted(in_one_folder.values(), key=lambda owner: _rank(module, owner.name))


def command_that_mends(module: str, reason: str) -> str:
    """Returns the command that mends a module that cannot be imported; `reason` is the text of the error."""
    found = owners(module)
    requirement = REQUIREMENTS[module]
    if len(found) > 1:
        return keep_one(found)
    if not found:
        if _is_numpys(reason) and is_found(module):
            # A copy of the system, as on Jetson and with ROS, built for NumPy 1.
            return "pip install 'numpy<2'"
        if (file := _file(module)) is not None and file.name == f"{module}.py":
            # A file of the user that Python finds first; the libraries are folders or shared objects.
            return f"mv {file} {file.with_name(f'my_{module}.py')}"
        return f"pip install '{requirement}'"
    (owner,) = found
    lowest = requirement.partition(">=")[2]
    if _numbers(owner.version) < _numbers(lowest):
        return f"pip install --upgrade '{owner.name}>={lowest}'"
    has_windows = module == "cv2" and not owner.name.endswith("-headless")
    if has_windows and "cannot open shared object file" in reason:
        # The libraries of a desktop, such as libGL, are not there, so no window could be opened.
        return f"pip uninstall -y {owner.name} && pip install {owner.name}-headless"
    return f"pip install --force-reinstall --no-deps {owner.name}=={owner.version}"


def keep_one(found: Sequence[Owner]) -> str:
    """Returns the command that leaves only the first of several owners, with its files complete."""
    keep = found[0]
    # All are uninstalled, because those that stay would miss the files that they share.
    names = " ".join(owner.name for owner in found)
    return f"pip uninstall -y {names} && pip install --no-deps {keep.name}=={keep.version}"


def _distributions_with(module: str) -> Iterator[importlib.metadata.Distribution]:
    # Not packages_distributions(): it reads the list of files of every distribution, which can take a second.
    for distribution in importlib.metadata.distributions():
        if module in (distribution.read_text("top_level.txt") or "").split():
            yield distribution
    # NumPy has no top_level.txt.
    yield from importlib.metadata.distributions(name=module)


def is_found(module: str) -> bool:
    """Whether there is anything that Python would import under this name."""
    return importlib.util.find_spec(module) is not None


def _folder(module: str) -> Path | None:
    """The folder on sys.path that a module is imported from."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.origin else None


def _file(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin else None


def _rank(module: str, name: str) -> tuple[int, str]:
    preferred = _PREFERRED.get(module, ())
    if name in preferred:
        return preferred.index(name), name
    return len(preferred) + (name in _LAST), name


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:4])


def _is_numpys(reason: str) -> bool:
    return "numpy" in reason.lower() or "_ARRAY_API" in reason
