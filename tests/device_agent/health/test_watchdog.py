from __future__ import annotations

from edgesdk_agent.health.watchdog import Act, Watchdog, WatchdogSettings

SETTINGS = WatchdogSettings(stall_s=30.0, exit_after_s=90.0, repairs=2, budget_window_s=3600.0, first_result_s=300.0)


def decisions(watchdog: Watchdog, stills: list[float], *, frames_wait: bool = True, start: float = 0.0) -> list[Act]:
    return [
        watchdog.decide(still_s=still, frames_wait=frames_wait, had_result=True, now=start + still) for still in stills
    ]


def test_it_looks_once_mends_once_and_ends() -> None:
    acts = decisions(Watchdog(SETTINGS), [5, 29, 30, 35, 60, 89, 90])
    assert acts == [Act.NOTHING, Act.NOTHING, Act.MEND, Act.NOTHING, Act.NOTHING, Act.NOTHING, Act.END]


def test_a_pipeline_to_which_nothing_comes_does_not_stand_still() -> None:
    assert set(decisions(Watchdog(SETTINGS), [30, 90, 9000], frames_wait=False)) == {Act.NOTHING}


def test_a_stall_that_was_mended_is_forgotten_until_the_budget_is_spent() -> None:
    watchdog = Watchdog(SETTINGS)
    for number in range(2):
        assert decisions(watchdog, [30, 1], start=100.0 * number) == [Act.MEND, Act.NOTHING]
    assert decisions(watchdog, [30], start=300.0) == [Act.END]
    assert watchdog.stalls == 3
    fresh = Watchdog(SETTINGS)
    acts = [decisions(fresh, [30, 1], start=4000.0 * number)[0] for number in range(5)]
    assert acts == [Act.MEND] * 5


def test_the_first_result_may_take_its_time() -> None:
    watchdog = Watchdog(SETTINGS)
    assert watchdog.decide(still_s=200.0, frames_wait=True, had_result=False, now=200.0) is Act.NOTHING
    assert watchdog.decide(still_s=300.0, frames_wait=True, had_result=False, now=300.0) is Act.MEND
    assert watchdog.decide(still_s=360.0, frames_wait=True, had_result=False, now=360.0) is Act.END


def test_without_somebody_who_starts_it_again_it_never_ends() -> None:
    acts = decisions(Watchdog(SETTINGS, may_end=False), [30, 90, 9000])
    assert acts == [Act.MEND, Act.NOTHING, Act.NOTHING]
