"""The audit's findings as text for a terminal."""

from training.data.split import SPLITS

SHOWN = 10  # pairs and broken files that are printed; --json has all


def text_from_audit(found: dict) -> str:
    """What training.audit.audit returns, as a report that fits a terminal."""
    parts = (
        _pictures(found["pictures"]),
        _across(found["across"], found["min_correlation"]),
        _within(found["within"]),
        _pairs(found["pairs"]),
        _people(found["people"]),
        _broken(found["broken"]),
    )
    return "\n\n".join(parts)


def _pictures(counts: dict[str, dict[str, int]]) -> str:
    lines = [_row("pictures", *SPLITS)]
    lines += [_row(f"  {name}", *(counts[split][name] for split in SPLITS)) for name in counts[SPLITS[0]]]
    # Flagged pictures have a label or none, so they are counted already.
    listed = (sum(n for name, n in counts[split].items() if name != "flagged") for split in SPLITS)
    return "\n".join([*lines, _row("  in all", *listed)])


def _across(across: dict[str, dict[str, dict[str, int]]], min_correlation: float) -> str:
    lines = [
        "copies across splits: exact, the same pixels; near, beyond the exact ones, with a correlation of "
        f"{min_correlation} or more;",
        "matched, pictures of the second split that have a copy in the first",
        _row("", "exact", "near", "matched"),
    ]
    for name, kinds in across.items():
        for kind, count in kinds.items():
            lines.append(_row(f"  {name}, {kind}", count["exact"], count["near"], count["matched"]))
    return "\n".join(lines)


def _within(within: dict[str, dict[str, int]]) -> str:
    lines = [_row("repeats within a split (no leak)", "exact", "near")]
    lines += [_row(f"  {name}", count["exact"], count["near"]) for name, count in within.items()]
    return "\n".join(lines)


def _pairs(pairs: list[dict]) -> str:
    # A person may want to look at the near copies, beginning with the least similar.
    near = sorted((pair for pair in pairs if not pair["exact"]), key=lambda pair: pair["correlation"])
    if not near:
        return "near copies across splits: none"
    lines = [f"near copies across splits, the least similar of {len(near)} pairs"]
    lines += [f"  {pair['correlation']:.3f}  {'  =  '.join(pair['pictures'])}" for pair in near[:SHOWN]]
    return "\n".join(lines)


def _people(people: dict[int, list[str]]) -> str:
    if not people:
        return "people in several splits: none known"
    return "\n".join(
        ["people in several splits", *(f"  {person}: {', '.join(names)}" for person, names in people.items())]
    )


def _broken(broken: dict[str, str]) -> str:
    if not broken:
        return "broken files: none"
    lines = [f"broken files: {len(broken)}"]
    lines += [f"  {name}: {reason}" for name, reason in [*broken.items()][:SHOWN]]
    return "\n".join(lines)


def _row(name: str, *values: object) -> str:
    return f"{name:48}" + "".join(f"{value:>9}" for value in values)
