"""Events with hysteresis and minimum durations."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from stream_doubles import observation

from fer_edge.stream import Event, EventRules
from fer_edge.stream.steady import Steady

MakeSteady = Callable[..., Steady]
RULES = EventRules(enter=0.6, leave=0.4, hold_ms=100, appear_ms=50)


def _logits(**shares: float) -> list[float]:
    """Logits whose probabilities are these; happiness and sadness share the rest."""
    neutral = shares.get("neutral", 0.0)
    happiness = shares.get("happiness", (1 - neutral) / 2)
    return [math.log(max(p, 1e-9)) for p in (neutral, happiness, 1 - neutral - happiness)]


def _run(steady: Steady, *steps: tuple[float, Any]) -> list[tuple[str, str | None, float, float]]:
    """Runs one face through (time, logits or None for gone); returns (kind, label, time, since)."""
    events: list[Event] = []
    for time, logits in steps:
        seen = observation(time, ended=(1,)) if logits is None else observation(time, (1, logits))
        events += steady.update(seen)[1]
    assert all(event.id == 1 for event in events)
    return [(event.kind, event.label, event.time, event.since) for event in events]


def test_a_face_and_its_expression_from_beginning_to_end(make_steady: MakeSteady) -> None:
    happy, between, low = _logits(happiness=0.9), _logits(happiness=0.5), _logits(happiness=0.35, neutral=0.3)
    steady = make_steady(RULES, time_constant_ms=0)
    events = _run(
        steady,
        *((n / 20, happy) for n in range(4)),  # to 0.15
        *((n / 20, between) for n in range(4, 8)),  # between the thresholds nothing happens
        *((n / 20, low) for n in range(8, 12)),  # from 0.4
        (0.6, None),
    )
    assert events == [
        ("appeared", None, 0.05, 0.0),
        ("expression_entered", "happiness", 0.1, 0.0),
        ("expression_left", "happiness", 0.5, 0.4),
        ("disappeared", None, 0.6, 0.55),
    ]


def test_a_short_flicker_is_no_event(make_steady: MakeSteady) -> None:
    happy, low = _logits(happiness=0.9), _logits(happiness=0.2, neutral=0.2)
    steady = make_steady(RULES, time_constant_ms=0)
    first = _run(steady, *((n / 20, happy) for n in range(4)))
    assert [kind for kind, *_ in first] == ["appeared", "expression_entered"]
    flicker = [(0.2 + n / 20, low if n % 2 else happy) for n in range(20)]
    assert _run(steady, *flicker) == []


def test_a_new_expression_leaves_the_old_one_first(make_steady: MakeSteady) -> None:
    happy, neutral = _logits(happiness=0.9), _logits(neutral=0.9)
    events = _run(
        make_steady(RULES, time_constant_ms=0),
        *((n / 20, happy) for n in range(4)),
        *((n / 20, neutral) for n in range(4, 8)),
    )
    assert events[2:] == [
        ("expression_left", "happiness", 0.3, 0.2),
        ("expression_entered", "neutral", 0.3, 0.2),
    ]


def test_a_face_that_is_gone_leaves_its_expression_and_one_that_never_appeared_has_no_events(
    make_steady: MakeSteady,
) -> None:
    happy = _logits(happiness=0.9)
    steady = make_steady(RULES, time_constant_ms=0)
    events = _run(steady, *((n / 20, happy) for n in range(4)), (1.2, None))
    assert events[2:] == [("expression_left", "happiness", 1.2, 0.15), ("disappeared", None, 1.2, 0.15)]
    assert _run(steady, (2.0, happy), (2.04, happy), (3.0, None)) == []


def test_an_expression_that_nobody_can_read_any_more_is_left(make_steady: MakeSteady) -> None:
    happy = _logits(happiness=0.9)
    steady = make_steady(RULES, time_constant_ms=0, stale_ms=320)
    turned = (happy, "face too far turned")
    events = _run(steady, *((n / 20, happy) for n in range(4)), *((n / 20, turned) for n in range(4, 20)))
    assert events[2:] == [("expression_left", "happiness", 0.6, 0.5)]


def test_the_entered_expression_is_an_attribute_of_the_face(make_steady: MakeSteady) -> None:
    steady = make_steady(RULES, time_constant_ms=0)
    found = [
        steady.update(observation(n / 20, (1, _logits(happiness=0.9))))[0][0].expression for n in range(4)
    ]
    assert found == [None, None, "happiness", "happiness"]


def test_events_of_faces_that_are_gone_come_first_then_by_id(make_steady: MakeSteady) -> None:
    happy = _logits(happiness=0.9)
    steady = make_steady(EventRules(hold_ms=0, appear_ms=0))
    steady.update(observation(0.0, (1, happy), (2, happy)))
    _, events = steady.update(observation(0.1, (3, happy), (4, happy), ended=(1, 2)))
    assert [(event.id, event.kind) for event in events] == [
        *((id, kind) for id in (1, 2) for kind in ("expression_left", "disappeared")),
        *((id, kind) for id in (3, 4) for kind in ("appeared", "expression_entered")),
    ]
    assert events[0].to_dict() == {
        "kind": "expression_left",
        "id": 1,
        "label": "happiness",
        "time": 0.1,
        "since": 0.0,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enter": 0}, "enter must be in"),
        ({"enter": 0.3}, "leave in \\[0, enter\\], got 0.3 and 0.35"),
        ({"leave": -0.1}, "leave in"),
        ({"hold_ms": -1}, "hold_ms must be a number of milliseconds"),
        ({"appear_ms": math.inf}, "appear_ms must be"),
    ],
)
def test_rules_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventRules(**settings)
