"""Figures of what the runtime withholds, for the card of tkfnet-nano and for docs/results.md."""

from typing import Any

from benchmarks.figures.expressions import read_metrics
from training.evaluation.markdown import percent, table


def unknowable() -> str:
    """The labels that change with the photograph and are not withheld, beside the release before."""
    now, before = (read_metrics(f"tkfnet-nano-abstention{suffix}") for suffix in ("", "-1.1"))
    rows = []
    for change, row in now["changes"].items():
        old = before["changes"][change]
        rows.append(
            {
                "change": change,
                **{column: row[column] for column in ("tried", "found", "kept", "changed")},
                "share of kept": _share(row),
                "share of tried": f"{_share_of_tried(row):.1%}",
                "1.1: changed / kept": f"{old['changed']} / {old['kept']}",
                "1.1: share of kept": _share(old),
                "1.1: share of tried": f"{_share_of_tried(old):.1%}",
            }
        )
    answers = f"{now['answered']} of {now['faces']} faces ({now['answered'] / now['faces']:.1%})"
    earlier = f"{before['answered']} of {before['faces']} ({before['answered'] / before['faces']:.1%})"
    answered = f"Answered in the untouched photographs: {answers}; 1.1 and its detector: {earlier}."
    masks, before_masks = now["with_masks"], before["with_masks"]
    total, old_total = sum(masks.values()), sum(before_masks.values())
    answered += (
        f"\n\nOf {total} untouched faces of three picture sets in which many wear masks, "
        f"{masks.get('face covered', 0)} are withheld as covered and {masks.get('answered', 0)} answered; "
        f"1.1 answered {before_masks.get('answered', 0)} of {old_total}."
    )
    return f"{answered}\n\n{table(rows)}"


def coverage() -> str:
    """What other thresholds of the confidence answer and let through, beside the release before."""
    now, before = (read_metrics(f"tkfnet-nano-abstention{suffix}") for suffix in ("", "-1.1"))
    faces, beside = (now["shared"][name] for name in ("faces", "answered_beside"))
    rows = []
    for level in now["by_confidence"]:
        answered, threshold = level["shared_answered"], level["min_confidence"]
        shipped = " (shipped)" if threshold == now["min_confidence"] else ""
        rows.append(
            {
                "min_confidence": f"{threshold:g}{shipped}",
                **_on_ferplus(threshold),
                "photographs: answered": f"{answered} of {faces} ({answered / faces:.1%})",
                "points against 1.1": f"{100 * (answered - beside) / faces:+.1f}",
                "changes above half of 1.1": _let_through(level["changes"], before["changes"]),
            }
        )
    share = f"{beside} of the {faces} faces ({beside / faces:.1%})"
    return f"1.1 answers {share} that both versions find.\n\n{table(rows)}"


def _on_ferplus(threshold: float) -> dict[str, str]:
    """Coverage and accuracy at a threshold that the evaluation of tkfnet-nano lists."""
    measured = read_metrics("tkfnet-nano")["abstention"]
    own = {
        f"{split}_{name}": measured[split][name]
        for split in ("valid", "test")
        for name in ("coverage", "accuracy")
    }
    rows = [*measured["by_confidence"], {"min_confidence": measured["min_confidence"], **own}]
    row = next(row for row in rows if row["min_confidence"] == threshold)
    return {
        "FER+ valid: answered": percent(row["valid_coverage"]),
        "of these right": percent(row["valid_accuracy"]),
        "FER+ test: right": percent(row["test_accuracy"]),
    }


def _let_through(now: dict[str, Any], before: dict[str, Any]) -> str:
    """The changes whose share of changed labels that are not withheld is above half of the earlier one."""
    shares = {name: (_share_of_tried(row), _share_of_tried(before[name])) for name, row in now.items()}
    return ", ".join(f"{name} ({a:.1%} against {b:.1%})" for name, (a, b) in shares.items() if a > b / 2)


def _share_of_tried(row: dict[str, Any]) -> float:
    """The share of changed labels that are not withheld, of all faces that were tried."""
    return float(row["changed"] / row["tried"])


def _share(row: dict[str, Any]) -> str:
    return f"{row['share']:.1%}" if row["kept"] else "-"
