"""Readers of data sets, one for each layout, and the table by which a layout is found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.data.pictures import Dataset
from training.data.readers import affectnet, ferplus, ferplus_csv, ferplus_png, folders, kdef, rafdb


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of a data set; ``expects`` describes what the folder must hold."""

    expects: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


# In the order in which "auto" tries them: class folders last, because nearly any folder fits.
LAYOUTS = {
    name: Layout(module.EXPECTS, module.fits, module.read)
    for name, module in {
        "ferplus-packed": ferplus,
        "ferplus-csv": ferplus_csv,
        "ferplus-png": ferplus_png,
        "raf-db": rafdb,
        "kdef": kdef,
        "affectnet": affectnet,
        "folders": folders,
    }.items()
}
AUTO = "auto"
_SHOWN = 8  # entries of a folder that a message lists


def layout_from_folder(root: Path) -> str:
    """The name of the first layout that fits; raises ValueError that lists all layouts when none does."""
    for name, layout in LAYOUTS.items():
        if layout.fits(root):
            return name
    expected = "\n".join(f"  {name}: {layout.expects}" for name, layout in LAYOUTS.items())
    raise ValueError(
        f"{root} must be in one of these layouts, found {_content(root)}; give the folder that holds this:\n"
        f"{expected}"
    )


def read(root: Path, layout: str = AUTO) -> Dataset:
    """Reads a data set in the given layout, or in the first that fits.

    Raises:
        FileNotFoundError: the folder, or a file that the layout needs, is missing.
        ValueError: the layout is unknown or does not fit, files contradict each other, or a split has no
            picture.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} must be the folder of a data set; there is no such folder; check the path"
        )
    if layout == AUTO:
        layout = layout_from_folder(root)
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {AUTO}, {', '.join(LAYOUTS)}, got {layout!r}")
    chosen = LAYOUTS[layout]
    if not chosen.fits(root):
        raise ValueError(
            f"{root} must hold {chosen.expects} for the layout {layout}, found {_content(root)}; give "
            f"the folder that holds them, or another layout of {AUTO}, {', '.join(LAYOUTS)}"
        )
    dataset = chosen.read(root)
    if empty := [name for name, source in dataset.splits.items() if not len(source.usable)]:
        first = list(dataset.broken.items())[:_SHOWN]
        broken = "".join(f"; {name}: {reason}" for name, reason in first)
        raise ValueError(
            f"{root} must have labelled pictures for train, valid and test, got none for {', '.join(empty)} "
            f"in the layout {layout}; add pictures{broken}"
        )
    return dataset


def _content(root: Path) -> str:
    names = sorted(p.name + "/" * p.is_dir() for p in root.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
