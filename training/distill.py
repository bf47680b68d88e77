"""Lets trained networks label distorted views of the training pictures, for a smaller one to learn from.

``python -m training.distill runs/ferplus --teachers A.pt B.pt --out runs/views``, then ``python -m
training.train runs/ferplus --views runs/views --out runs/nano``.

A teacher that answers to the very view that the student sees is worth more than one answer a picture (Beyer
et al., "Knowledge distillation: A good teacher is patient and consistent", 2022), and a bank of views spares
the student's many epochs the teachers' arithmetic (Faghri et al., "Reinforce Data, Multiply Impact", 2023). A
second start with the same ``--out`` goes on after the last whole view.
"""

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from fer_edge.atomic_file import atomic_write
from training.command_line import told_by
from training.data.crops import MEAN, SCALE, crop_matrices, normalised, sample
from training.data.split import LABELS, Split, load_prepared
from training.loop.augment import Draw, Jitter, jittered_matrices, photometric
from training.loop.checkpoint import model_from_checkpoint

BATCH = 256


def distorted(split: Split, rows: slice, size: int, jitter: Jitter, rng: torch.Generator) -> Tensor:
    """Views u8 [n, 1, size, size] as a camera would give them: rounded, and clipped at black and white."""
    images = torch.from_numpy(split.images[rows]).to(rng.device)
    aligned, whole = (
        torch.from_numpy(crop_matrices(split.take(rows), size, how)).to(rng.device) for how in (True, False)
    )
    draw = Draw(len(images), slice(None), rng)
    x = photometric(sample(images, jittered_matrices(aligned, whole, size, jitter, draw), size), jitter, draw)
    return (x / SCALE + MEAN).round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def answer(teachers: list[nn.Module], views: Tensor) -> Tensor:
    """The mean of the teachers' probabilities [n, 8], each at its own size, of view and mirrored view."""
    total = torch.zeros(len(views), len(LABELS), device=views.device)
    for teacher in teachers:
        luma = views.float()
        if teacher.size != luma.shape[-1]:
            side = (teacher.size, teacher.size)
            luma = F.interpolate(luma, side, mode="bilinear", antialias=True, align_corners=False)
        x = normalised(luma)
        for seen in (x, x.flip(3)):
            with torch.autocast(views.device.type, torch.bfloat16):
                logits = teacher(seen)
            total += logits.float().softmax(1)
    return total / (2 * len(teachers))


def make_views(
    split: Split, teachers: list[Path], out: Path, count: int, size: int, strength: float, seed: int = 0
) -> None:
    """Writes ``count`` views of each row: images.npy u8 [V, n, S, S], teacher.npy f16 [V, n, 8], rows.npy."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks = [
        model_from_checkpoint(path).to(device, memory_format=torch.channels_last) for path in teachers
    ]
    jitter = Jitter().times(strength)
    described = {
        "teachers": [hashlib.sha256(path.read_bytes()).hexdigest() for path in teachers],
        "count": count,
        "size": size,
        "jitter": asdict(jitter),
        "seed": seed,
        "rows": hashlib.sha256(split.rows.tobytes()).hexdigest(),
    }
    done = _views_done(out, described)
    shape = (count, len(split), size, size)
    mode = "r+" if done else "w+"
    images = np.lib.format.open_memmap(out / "images.npy", mode, np.uint8, shape)
    answers = np.lib.format.open_memmap(out / "teacher.npy", mode, np.float16, (*shape[:2], len(LABELS)))
    if not done:
        np.save(out / "rows.npy", split.rows)
    for view in range(done, count):
        rng = torch.Generator(device).manual_seed(seed * 100_003 + view)
        for start in tqdm(range(0, len(split), BATCH), desc=f"view {view + 1}/{count}", mininterval=5):
            rows = slice(start, min(start + BATCH, len(split)))
            views = distorted(split, rows, size, jitter, rng)
            images[view, rows] = views[:, 0].cpu()
            answers[view, rows] = answer(networks, views).cpu()
        images.flush()
        answers.flush()
        _write(out / "views.json", described | {"done": view + 1})


def _views_done(out: Path, described: dict[str, object]) -> int:
    """How many views an earlier start has finished; raises ValueError if it was told to make other ones."""
    if not (out / "views.json").exists():
        return 0
    earlier = json.loads((out / "views.json").read_text(encoding="utf-8"))
    done = int(earlier.pop("done"))
    if earlier != described:
        differ = ", ".join(k for k in described if earlier.get(k) != described[k])
        raise ValueError(f"{out} holds views of another kind ({differ} differ); take another --out")
    return done


def _write(path: Path, content: dict[str, object]) -> None:
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument(
        "--teachers", type=Path, nargs="+", required=True, help="checkpoints of training.train"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the bank of views")
    parser.add_argument("--views", type=int, default=6, help="distorted views of each picture")
    parser.add_argument("--size", type=int, default=64, help="side of the views: the student's input")
    parser.add_argument("--strength", type=float, default=0.9, help="of the distortions")
    parser.add_argument("--limit", type=int, help="use the first LIMIT rows only, for a dry run")
    args = parser.parse_args()
    with told_by(parser):
        split = load_prepared(args.data, "train").take(slice(args.limit))
        args.out.mkdir(parents=True, exist_ok=True)
        make_views(split, args.teachers, args.out, args.views, args.size, args.strength)


if __name__ == "__main__":
    main()
