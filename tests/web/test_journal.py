"""What the page remembers: a minute of each face, events, and rates; by a clock that stands still."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fer_edge.stream import StreamResult
from fer_edge.web.journal import MAX_EVENTS, Journal, Position

Results = Callable[..., list[StreamResult]]


class Clock:
    """A clock that moves when it is told to."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> Journal:
    return Journal(clock)


def test_samples_are_those_of_the_last_minute_five_a_second(
    clock: Clock, journal: Journal, make_results: Results
) -> None:
    result = make_results(8)[-1]
    (face,) = result.faces
    for _ in range(70 * 20):
        journal.add(result)
        clock.now += 0.05
    entries, _ = journal.since(Position())
    seconds = [sample[0] for sample in entries["samples"]]
    assert seconds[0] == pytest.approx(10.0, abs=0.2)
    assert seconds[-1] == pytest.approx(70.0, abs=0.25)
    assert len(seconds) == pytest.approx(300, abs=2)
    _, id, percentages, abstains = entries["samples"][0]
    assert id == face.id
    assert percentages == [round(100 * share) for share in face.probabilities.values()]
    assert abstains is (face.abstain_reason is not None)


def test_a_viewer_gets_what_it_has_not_had(clock: Clock, journal: Journal, make_results: Results) -> None:
    results = make_results(10)
    for result in results[:5]:
        journal.add(result)
        clock.now += 0.3
    entries, position = journal.since(Position())
    expected = [event for result in results[:5] for event in result.events]
    assert [event["kind"] for event in entries["events"]] == [event.kind for event in expected]
    # A face is sampled in each frame in which it is found.
    assert len(entries["samples"]) == sum(len(result.faces) for result in results[:5])
    assert journal.since(position) == ({"samples": [], "events": []}, position)
    journal.note("source_lost")
    journal.add(results[5])
    entries, _ = journal.since(position)
    assert entries["events"][0] == {
        "kind": "source_lost",
        "id": None,
        "label": None,
        "time": results[4].time,
    }
    assert len(entries["samples"]) == 1


def test_rates(clock: Clock, journal: Journal, make_results: Results) -> None:
    rates = {"frames": 0, "dropped": 0, "fps": 0.0, "ms": 0.0, "quiet_s": 0.0}
    assert journal.rates() == rates
    result = replace(make_results(1)[0], dropped=2, timings={"total": 8.0})
    for _ in range(41):
        clock.now += 0.04
        journal.add(result)
    assert journal.rates() == {"frames": 41, "dropped": 82, "fps": 25.0, "ms": 8.0, "quiet_s": 0.0}
    clock.now += 5.0
    assert journal.rates() == {"frames": 41, "dropped": 82, "fps": 0.0, "ms": 0.0, "quiet_s": 5.0}


def test_memory_is_bounded(clock: Clock, journal: Journal) -> None:
    for _ in range(MAX_EVENTS + 50):
        journal.note("source_lost")
    assert len(journal.since(Position())[0]["events"]) == MAX_EVENTS
