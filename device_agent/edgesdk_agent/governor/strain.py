"""How strained the device is: what presses, what is calm again, and the span between that is neither."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_agent.health.facts import Facts


@dataclass(frozen=True, slots=True)
class StrainMarks:
    """Pairs (presses from, calm below); for what should be much, the other way round.

    Attributes:
        age_share: of the age budget, by the 95th percentile of the camera that is latest.
        temperature_c: of the processor.
        cpu_percent: of all cores, 100 is all of them.
        memory_available_share: of the device's memory.
        rss_share: of what the process may take.
    """

    age_share: tuple[float, float] = (1.0, 0.6)
    temperature_c: tuple[float, float] = (80.0, 72.0)
    cpu_percent: tuple[float, float] = (97.0, 85.0)
    memory_available_share: tuple[float, float] = (0.07, 0.12)
    rss_share: tuple[float, float] = (0.90, 0.75)


@dataclass(frozen=True, slots=True)
class Strain:
    """What the facts say.

    Attributes:
        presses: what is beyond its mark, in words.
        calm: everything is on the good side of its second mark.
    """

    presses: tuple[str, ...]
    calm: bool


def strain_of(facts: Facts, age_budget_ms: float, marks: StrainMarks) -> Strain:
    """Judge the facts; what could not be read neither presses nor keeps from calming."""
    presses: list[str] = []
    calm = not facts.throttled
    age = facts.age_share(age_budget_ms)
    if facts.throttled:
        presses.append(f"the device slows itself down ({', '.join(facts.throttled)})")
    total, limit = facts.memory_total_bytes, facts.memory_limit_bytes
    high = (
        ("age", age, marks.age_share),
        ("temperature", facts.temperature_c, marks.temperature_c),
        ("memory of the agent", _share(facts.rss_bytes, limit), marks.rss_share),
    )
    for what, value, (press, release) in high:
        if value is not None:
            calm = calm and value < release
            if value >= press:
                presses.append(f"{what} {value:.3g}, mark {press:g}")
    available = _share(facts.memory_available_bytes, total)
    if available is not None:
        press, release = marks.memory_available_share
        calm = calm and available > release
        if available <= press:
            presses.append(f"memory left {available:.3g}, mark {press:g}")
    # A model may take all cores and be in time: a busy processor presses only where results come late as well.
    late = age is not None and age >= marks.age_share[1]
    cpu = facts.system_cpu_percent
    if cpu is not None and late:
        calm = calm and cpu < marks.cpu_percent[1]
        if cpu >= marks.cpu_percent[0]:
            presses.append(f"processor {cpu:.0f} %, mark {marks.cpu_percent[0]:g} %")
    return Strain(tuple(presses), calm and not presses)


def _share(value: float | None, whole: float | None) -> float | None:
    return None if value is None or not whole else value / whole
