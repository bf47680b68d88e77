"""Assignment of rows to columns at the least total cost: the Hungarian method.

By shortest augmenting paths (Jonker and Volgenant 1987), O(n^3) for n faces, on plain lists: for the few
faces of a frame this takes less time than a library's call.
"""

from collections.abc import Sequence

INFINITY = float("inf")


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Returns pairs (row, column), sorted by row: as many as possible, and of these the least sum of costs.

    Args:
        costs: [R][C], not negative; infinity for a pair that is not allowed.
    """
    rows = [row for row, line in enumerate(costs) if min(line, default=INFINITY) < INFINITY]
    best = [min(range(len(costs[row])), key=costs[row].__getitem__) for row in rows]
    if len(set(best)) == len(best):
        return list(zip(rows, best, strict=True))
    # A column of its own for each row, which it takes if it cannot get another: dearer than all pairs
    # together.
    finite = [cost for row in rows for cost in costs[row] if cost < INFINITY]
    alone = 2 * sum(finite) + 1
    padded = [[*(min(cost, 2 * alone) for cost in costs[row]), *([alone] * len(rows))] for row in rows]
    owners = _owners(padded)[: len(costs[0])]
    pairs = [(rows[row], column) for column, row in enumerate(owners) if row >= 0]
    return sorted((row, column) for row, column in pairs if costs[row][column] < INFINITY)


def _owners(costs: list[list[float]]) -> list[int]:
    """Returns the row of each column, -1 for none; there are at least as many columns as rows."""
    count = len(costs[0])
    start = count  # an extra column, where each path begins
    owner = [-1] * (count + 1)
    row_potential, column_potential = [0.0] * len(costs), [0.0] * (count + 1)
    for row in range(len(costs)):
        owner[start] = row
        least, before = [INFINITY] * count, [start] * count
        done: list[int] = []
        open_columns = set(range(count))
        here = start
        while owner[here] >= 0:
            done.append(here)
            line = costs[owner[here]]
            for column in open_columns:
                reduced = line[column] - row_potential[owner[here]] - column_potential[column]
                if reduced < least[column]:
                    least[column], before[column] = reduced, here
            there = min(open_columns, key=lambda column: (least[column], column))
            step = least[there]
            for column in done:
                row_potential[owner[column]] += step
                column_potential[column] -= step
            for column in open_columns:
                least[column] -= step
            open_columns.remove(there)
            here = there
        while here != start:
            owner[here] = owner[before[here]]
            here = before[here]
        owner[start] = -1
    return owner[:start]
