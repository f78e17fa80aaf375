from __future__ import annotations

from edgesdk_agent.backoff import Backoff


def test_delays_double_up_to_the_limit_and_begin_again() -> None:
    backoff = Backoff(1, 10, chance=lambda: 1.0)
    assert [backoff.next_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next_s() == 1


def test_chance_spreads_a_delay_between_half_and_all_of_it() -> None:
    assert Backoff(4, 60, chance=lambda: 0.0).next_s() == 2
    many = {round(Backoff(4, 60).next_s(), 6) for _ in range(50)}
    assert len(many) > 40
    assert all(2 <= delay <= 4 for delay in many)


def test_failing_for_years_overflows_nothing() -> None:
    backoff = Backoff(1, 60)
    assert max(backoff.next_s() for _ in range(5000)) <= 60
