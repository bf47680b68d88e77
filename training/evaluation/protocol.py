"""The protocol's rules that a judge can check on its own: batches do not matter, and people do not repeat.

The other rules are kept by training.prepare (no copies between the splits), training.train (the test split is
never opened) and training.evaluation.report (what must be told); tests/training/test_protocol.py holds all
five.
"""

import numpy as np

from fer_edge.arrays import F32, I64
from training.data.split import UNKNOWN
from training.evaluation.inference import Logits, logits_from_inputs

TOLERANCE = 1e-5  # of a logit
ROWS = 512  # that are run one by one


def batch_independence(network: Logits, x: F32, labels: I64) -> dict[str, float | bool]:
    """Rule 1: an image's logits alone, in a mixed batch and in a batch of one class; accuracy sorted by class
    and shuffled.

    Takes network inputs float32 [n, 1, S, S]. Where ``holds`` is false, what was measured says nothing of a
    single face.
    """
    order = np.random.default_rng(0).permutation(len(x))[:ROWS]
    x, labels = x[order], labels[order]
    mixed = logits_from_inputs(network, x)
    alone = logits_from_inputs(network, x, batch=1)
    of_class = np.empty_like(mixed)
    for label in np.unique(labels):
        members = labels == label
        of_class[members] = logits_from_inputs(network, x[members])
    apart = [float(np.abs(other - mixed).max()) for other in (alone, of_class)]
    hits = [float((logits.argmax(1) == labels).mean()) for logits in (mixed, of_class)]
    return {
        "alone_against_mixed": apart[0],
        "one_class_against_mixed": apart[1],
        "accuracy_sorted_minus_shuffled": hits[1] - hits[0],
        "holds": max(apart) < TOLERANCE and hits[0] == hits[1],
    }


def check_people(people: dict[str, I64]) -> None:
    """Rule 4: nobody who is known stands in two splits; takes the people column of each split by its name.

    Raises:
        ValueError: somebody does; a network that knows a face reads it better than a stranger's.
    """
    known = {name: set(np.unique(column).tolist()) - {UNKNOWN} for name, column in people.items()}
    names = list(known)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            if both := sorted(known[name] & known[other]):
                raise ValueError(
                    f"the splits must show different people, got {len(both)} in both {name} and {other} "
                    f"(person {both[0]} is one); split the data by person and run python -m training.prepare"
                )
