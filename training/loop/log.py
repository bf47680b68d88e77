"""The log of a training run, one line an epoch, and its curves."""

import json
from importlib.util import find_spec
from pathlib import Path


def append_log(path: Path, record: dict[str, float]) -> None:
    """Appends a JSON object as a line; also writes TensorBoard files where the extra is installed."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    if find_spec("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(path.parent / "tensorboard")) as writer:
            for name, value in record.items():
                writer.add_scalar(name, value, int(record["epoch"]))


def draw_curves(log: Path, picture: Path, panels: dict[str, list[str]]) -> None:
    """Draws columns of the log against the epoch; ``panels`` maps a title to the columns of its panel."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False)
    for axis, (title, columns) in zip(axes[0], panels.items(), strict=True):
        for column in columns:
            points = [(r["epoch"], r[column]) for r in rows if column in r]
            axis.plot(*zip(*points, strict=True), label=column)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
