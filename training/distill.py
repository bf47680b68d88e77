"""Trained networks label distorted views of the training pictures, from which a smaller network learns.

``python -m training.distill runs/ferplus --teachers A.pt B.pt --out runs/views``, then ``python -m
training.train runs/ferplus --views runs/views --out runs/nano``.

Teacher and student see the same view, which works better than one label for each picture (Beyer et al.,
"Knowledge distillation: A good teacher is patient and consistent", 2022). Stored views save the teachers'
inference in each of the student's epochs (Faghri et al., "Reinforce Data, Multiply Impact", 2023). A second
start with the same ``--out`` continues after the last complete view.

A teacher may be an exported file (``--teachers A.onnx``), which ONNX Runtime runs faster on a CPU.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from fer_edge.atomic_file import atomic_write
from training.command_line import exit_on_error
from training.data.crops import MEAN, SCALE, crop_matrices, normalised, sample
from training.data.hashes import hash_of_file, hash_of_splits
from training.data.split import LABELS, Split, load_prepared
from training.evaluation.predictors import predictor_from_file
from training.loop.augment import AugmentRanges, BatchRng, photometric, random_matrices
from training.loop.checkpoint import model_from_checkpoint
from training.loop.precision import PRECISIONS, autocast, default_precision

BATCH = 512


@dataclass(frozen=True, slots=True)
class Teacher:
    """The side of a network's inputs in px, and its answers: normalised [n, 1, S, S] -> logits [n, 8]."""

    size: int
    logits: Callable[[Tensor], Tensor]


def teacher_from_file(path: Path, device: torch.device, precision: str = "float32") -> Teacher:
    """Opens a checkpoint, or an exported file on the runtime's backend, whose precision is its own.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: no checkpoint of training.train, or an ONNX file for other crops.
        ModelError: the ONNX file is missing, corrupt or has no spec.
    """
    if path.suffix == ".onnx":
        predictor = predictor_from_file(path)

        def logits_of_file(x: Tensor) -> Tensor:
            return torch.from_numpy(predictor.logits(x.cpu().numpy())).to(x.device)

        return Teacher(predictor.size, logits_of_file)
    module = model_from_checkpoint(path).to(device, memory_format=torch.channels_last)

    def logits(x: Tensor) -> Tensor:
        with autocast(device, precision):
            return module(x).float()

    return Teacher(module.size, logits)


def distorted(
    split: Split, rows: slice, size: int, ranges: AugmentRanges, generator: torch.Generator
) -> Tensor:
    """Views u8 [n, 1, size, size] as from a camera: rounded, and clipped at black and white."""
    images = torch.from_numpy(split.images[rows]).to(generator.device)
    aligned, whole = (
        torch.from_numpy(crop_matrices(split.take(rows), size, how)).to(generator.device)
        for how in (True, False)
    )
    rng = BatchRng(len(images), slice(None), generator)
    x = photometric(sample(images, random_matrices(aligned, whole, size, ranges, rng), size), ranges, rng)
    return (x / SCALE + MEAN).round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def teacher_probabilities(teachers: Sequence[Teacher], views: Tensor) -> Tensor:
    """Mean probabilities [n, 8] of the teachers, each at its own input size, over view and mirrored view."""
    total = torch.zeros(len(views), len(LABELS), device=views.device)
    for teacher in teachers:
        luma = views.float()
        if teacher.size != luma.shape[-1]:
            side = (teacher.size, teacher.size)
            luma = F.interpolate(luma, side, mode="bilinear", antialias=True, align_corners=False)
        x = normalised(luma)
        for view in (x, x.flip(3)):
            total += teacher.logits(view).softmax(1)
    return total / (2 * len(teachers))


def make_views(
    splits: list[Split],
    teachers: list[Path],
    out: Path,
    count: int,
    size: int,
    aug_strengths: Sequence[float],
    seed: int = 0,
    precision: str | None = None,
) -> None:
    """Writes ``count`` views of each row of the splits, one after another: images.npy u8 [V, n, S, S],
    teacher.npy f16 [V, n, 8], votes.npy f32 [n, 8] (zeros where there are no votes), rows.npy.

    The views take the strengths of the distortions in turn. ``precision`` is that of checkpoints; None: the
    default of the device.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if precision is None:
        precision = default_precision(device)
    networks = [teacher_from_file(path, device, precision) for path in teachers]
    ranges = [AugmentRanges().scaled(strength) for strength in aug_strengths]
    settings = {
        "teachers": [hash_of_file(path) for path in teachers],
        "count": count,
        "size": size,
        "augment": [asdict(one) for one in ranges],
        "seed": seed,
        "precision": precision,
        "data": hash_of_splits(*splits),
    }
    done = _views_done(out, settings)
    shape = (count, sum(map(len, splits)), size, size)
    mode = "r+" if done else "w+"
    images = np.lib.format.open_memmap(out / "images.npy", mode, np.uint8, shape)
    probabilities = np.lib.format.open_memmap(
        out / "teacher.npy", mode, np.float16, (*shape[:2], len(LABELS))
    )
    if not done:
        np.save(out / "rows.npy", np.concatenate([split.rows for split in splits]))
        np.save(out / "votes.npy", np.concatenate([split.votes for split in splits]))
    for view in range(done, count):
        generator = torch.Generator(device).manual_seed(seed * 100_003 + view)
        for split, rows, at in tqdm(list(_batches(splits)), desc=f"view {view + 1}/{count}", mininterval=5):
            views = distorted(split, rows, size, ranges[view % len(ranges)], generator)
            images[view, at] = views[:, 0].cpu()
            probabilities[view, at] = teacher_probabilities(networks, views).cpu()
        images.flush()
        probabilities.flush()
        _write_json(out / "views.json", settings | {"done": view + 1})


def _batches(splits: list[Split]) -> Iterator[tuple[Split, slice, slice]]:
    """Each batch's split, its rows there, and its rows in the files."""
    first = 0
    for split in splits:
        for start in range(0, len(split), BATCH):
            end = min(start + BATCH, len(split))
            yield split, slice(start, end), slice(first + start, first + end)
        first += len(split)


def _views_done(out: Path, settings: dict[str, object]) -> int:
    """The number of complete views; raises ValueError if they were made with other settings."""
    if not (out / "views.json").exists():
        return 0
    earlier = json.loads((out / "views.json").read_text(encoding="utf-8"))
    done = int(earlier.pop("done"))
    if earlier != settings:
        differ = ", ".join(k for k in settings if earlier.get(k) != settings[k])
        raise ValueError(f"{out} holds views made with other settings ({differ} differ); use another --out")
    return done


def _write_json(path: Path, content: dict[str, object]) -> None:
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument(
        "--teachers", type=Path, nargs="+", required=True, help="checkpoints, or files exported from them"
    )
    parser.add_argument(
        "--unlabelled", type=Path, help="folder that training.cut_faces wrote: faces without votes"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the views")
    parser.add_argument("--views", type=int, default=6, help="distorted views of each picture")
    parser.add_argument("--size", type=int, default=64, help="side of the views: the student's input")
    parser.add_argument(
        "--aug-strength",
        type=float,
        nargs="+",
        default=[0.9],
        metavar="FACTOR",
        help="factor on the ranges of the distortions; the views take several in turn",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of checkpoints; bfloat16 on a GPU, float32 on a CPU if not given",
    )
    parser.add_argument("--limit", type=int, help="use LIMIT random rows only, for a dry run")
    args = parser.parse_args()
    with exit_on_error(parser):
        folders = [args.data, args.unlabelled] if args.unlabelled else [args.data]
        splits = [load_prepared(folder, "train").sample(args.limit) for folder in folders]
        args.out.mkdir(parents=True, exist_ok=True)
        make_views(
            splits,
            args.teachers,
            args.out,
            args.views,
            args.size,
            args.aug_strength,
            precision=args.precision,
        )


if __name__ == "__main__":
    main()
