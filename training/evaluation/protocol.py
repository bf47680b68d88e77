"""The rules of the evaluation protocol that need code of their own: predictions do not depend on the batch,
and no person is in two splits.

The other rules are kept by training.prepare (no copies between the splits), training.train (never opens the
test split) and training.evaluation.report (what a report must contain).
tests/training/evaluation/test_protocol.py checks all five.
"""

import numpy as np

from fer_edge.arrays import F32, I64
from training.data.split import UNKNOWN
from training.evaluation.inference import Logits, logits_from_inputs

TOLERANCE = 1e-5  # of a logit
ROWS = 512  # that are run one by one


def batch_independence(logits: Logits, x: F32, labels: I64) -> dict[str, float | bool]:
    """Rule 1: a picture's logits alone, in a mixed batch and in a batch of one class; and accuracy sorted by
    class minus shuffled.

    Takes network inputs float32 [n, 1, S, S]. Where ``holds`` is False, the metrics are not valid for single
    faces.
    """
    order = np.random.default_rng(0).permutation(len(x))[:ROWS]
    x, labels = x[order], labels[order]
    mixed = logits_from_inputs(logits, x)
    alone = logits_from_inputs(logits, x, batch=1)
    of_class = np.empty_like(mixed)
    for label in np.unique(labels):
        members = labels == label
        of_class[members] = logits_from_inputs(logits, x[members])
    apart = [float(np.abs(other - mixed).max()) for other in (alone, of_class)]
    hits = [float((logits.argmax(1) == labels).mean()) for logits in (mixed, of_class)]
    return {
        "alone_against_mixed": apart[0],
        "one_class_against_mixed": apart[1],
        "accuracy_sorted_minus_shuffled": hits[1] - hits[0],
        "holds": max(apart) < TOLERANCE and hits[0] == hits[1],
    }


def check_people(people: dict[str, I64]) -> None:
    """Rule 4: no known person is in two splits; takes the people column of each split by its name.

    Raises:
        ValueError: a person is in two splits, whom the network would recognise better than unknown people.
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
