"""The Hungarian method against SciPy and against all permutations."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fer_edge.stream.assignment import INFINITY, assign


def test_small_cases() -> None:
    assert assign([]) == []
    assert assign([[], []]) == []
    assert assign([[INFINITY]]) == []
    assert assign([[1.0, 2.0]]) == [(0, 0)]
    # Both rows want column 0; the sum decides.
    assert assign([[1.0, 2.0], [1.0, 5.0]]) == [(0, 1), (1, 0)]
    # A pair more is worth any cost.
    assert assign([[0.0, 9.0], [0.0, INFINITY]]) == [(0, 1), (1, 0)]
    assert assign([[INFINITY, 3.0], [INFINITY, 1.0]]) == [(1, 1)]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (8, 8), (12, 9)])
def test_the_cost_is_that_of_scipy(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(sum(shape))
    for _ in range(40):
        # Few values, so that there are ties.
        costs = random.integers(0, 9, shape).astype(float)
        pairs = assign(costs.tolist())
        assert len(pairs) == min(shape)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert sum(costs[pair] for pair in pairs) == costs[linear_sum_assignment(costs)].sum()


def test_pairs_that_are_not_allowed() -> None:
    random = np.random.default_rng(4)
    for _ in range(60):
        costs = random.integers(1, 9, (4, 4)).astype(float)
        costs[random.random((4, 4)) < 0.5] = INFINITY
        pairs = assign(costs.tolist())
        allowed = [
            [pair for pair in zip(range(4), order, strict=True) if costs[pair] < INFINITY]
            for order in itertools.permutations(range(4))
        ]
        most = max(map(len, allowed))
        assert len(pairs) == most
        least = min(sum(costs[pair] for pair in some) for some in allowed if len(some) == most)
        assert sum(costs[pair] for pair in pairs) == least
