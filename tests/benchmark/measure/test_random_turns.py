"""The timing loop: turns, their order, what is counted and when it ends."""

from ticking import TickingClock

from fer_edge.benchmark.measure.loop import Limits, Subject, measure_in_turns


def test_every_subject_has_a_turn_in_each_round_and_turns_take_the_same_time() -> None:
    clock, seen = TickingClock(), []
    fast, slow = clock.work(0.5), clock.work(10.0)
    subjects = [
        Subject(lambda: fast(), lambda: seen.append("fast")),
        Subject(lambda: slow(), lambda: seen.append("slow")),
    ]
    times = measure_in_turns(subjects, Limits(queries=100, seconds=0.5, warm_up=4), clock)
    # 50 ms a turn.
    assert [{len(turn) for turn in turns} for turns in times] == [{100}, {5}]
    assert len(times[0]) == len(times[1]) == 20
    # The first two are the warm-up; then both in each round, in changing order.
    rounds = [tuple(seen[at : at + 2]) for at in range(2, len(seen), 2)]
    assert {frozenset(pair) for pair in rounds} == {frozenset({"fast", "slow"})}
    assert len(set(rounds)) == 2


def test_times_are_milliseconds_and_the_first_call_of_a_turn_is_not_counted() -> None:
    clock = TickingClock()
    # A turn of 5 calls and one before them: the slow call is always the uncounted one.
    work = clock.work(30.0, 10.0, 10.0, 10.0, 10.0, 10.0)
    (turns,) = measure_in_turns([Subject(work)], Limits(queries=20, seconds=0.1, warm_up=6), clock)
    assert {len(turn) for turn in turns} == {5}
    assert {round(time, 6) for turn in turns for time in turn} == {10.0}


def test_every_call_is_counted_where_a_turn_has_few() -> None:
    clock = TickingClock()
    work = clock.work(40.0, 20.0)
    (turns,) = measure_in_turns([Subject(work)], Limits(queries=10, seconds=0.1, warm_up=4), clock)
    times = [round(time, 6) for turn in turns for time in turn]
    assert times == [40.0, 20.0] * (len(times) // 2)


def test_preparing_takes_no_time() -> None:
    clock = TickingClock()
    subject = Subject(clock.work(5.0), clock.work(1000.0))
    (turns,) = measure_in_turns([subject], Limits(queries=10, seconds=0.1), clock)
    assert {round(time, 6) for turn in turns for time in turn} == {5.0}


def test_both_limits_are_reached() -> None:
    clock = TickingClock()
    (by_count,) = measure_in_turns([Subject(clock.work(1.0))], Limits(1000, 0.1), clock)
    assert 1000 <= sum(map(len, by_count)) < 1100
    (by_time,) = measure_in_turns([Subject(clock.work(1.0))], Limits(10, 2.0), clock)
    assert 2000 <= sum(map(sum, by_time)) < 2100


def test_a_slow_subject_ends_without_its_queries() -> None:
    clock = TickingClock()
    (turns,) = measure_in_turns([Subject(clock.work(500.0))], Limits(1000, 1.0, warm_up=1), clock)
    # Ten times the duration.
    assert sum(map(len, turns)) == 20


def test_progress_rises_to_the_end() -> None:
    clock, shares = TickingClock(), []
    measure_in_turns([Subject(clock.work(1.0))], Limits(500, 0.5), clock, shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.8 < shares[-1] < 1
