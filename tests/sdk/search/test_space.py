"""A space as YAML: what it may say, and what is told before the first trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.search.grid import next_of_grid
from edgesdk.search.outcome import limits_of
from edgesdk.search.parameter import Range
from edgesdk.search.space import Limits, Space, is_lower_better, read_space
from edgesdk_targets.errors import InputError

GOOD = """
model: card.yaml
target: x86-cpu
data: judged
objectives: [top1, ms]
limits: {ms: 2.0, bytes: 1MB, least: {top1: 0.9}}
parameters:
  factory_args.width: {low: 4, high: 32, step: 4}
  deploy.threads: {choice: [1, 2]}
  deploy.precision: {choice: [fp32, fp16]}
baseline: {factory_args.width: 16, deploy.threads: 1, deploy.precision: fp32}
sampler: grid
"""


def _read(folder: Path, text: str) -> Space:
    path = folder / "space.yaml"
    path.write_text(text)
    return read_space(path)


def test_a_space_is_read(tmp_path: Path) -> None:
    space = _read(tmp_path, GOOD)
    assert space.size == 8 * 2 * 2
    assert space.lower_is_better == (False, True)
    assert space.limits.bytes == 1_000_000
    assert space.parameters["factory_args.width"].values == (4, 8, 12, 16, 20, 24, 28, 32)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("factory_args.width: {low: 4", "factory_args.width: {low: 40"),
        ("deploy.threads", "deploy.thraeds"),
        ("deploy.threads: {choice: [1, 2]}", "threads: {choice: [1, 2]}"),
        ("deploy.precision: {choice: [fp32, fp16]}", "deploy.precision: {choice: [fp33]}"),
        ("{low: 4, high: 32, step: 4}", "{low: 4, high: 32.0}"),
        ("factory_args.width: 16,", "factory_args.width: 99,"),
        ("factory_args.width: 16,", ""),
        ("factory_args.width: 16,", "factory_args.width: 17,"),
        ("high: 32, step: 4", "high: 40000, step: 4"),
        ("sampler: grid", "sampler: best"),
        ("deploy.threads: {choice", "train.epochs: {choice"),
        ("data: judged", "data: judged\ntrain: {epochs: 3}"),
        ("objectives: [top1, ms]", "objectives: [ms, ms]"),
    ],
    ids=[
        "ends",
        "field",
        "area",
        "value",
        "grid",
        "baseline",
        "lacks",
        "between",
        "endless",
        "sampler",
        "no-plan",
        "no-data",
        "twice",
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: str, said: str) -> None:
    assert wrong in GOOD
    with pytest.raises(InputError, match=r"space\.yaml"):
        _read(tmp_path, GOOD.replace(wrong, said))


def test_a_search_goes_on_with_more_trials_and_nothing_else(tmp_path: Path) -> None:
    space = _read(tmp_path, GOOD)
    assert _read(tmp_path, GOOD + "trials: 99\n").identity() == space.identity()
    assert _read(tmp_path, GOOD.replace("2.0", "3.0")).identity() != space.identity()


def test_which_way_is_better() -> None:
    assert [is_lower_better(name) for name in ("ms", "fps", "top1", "cer", "relative_error")] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_range_that_is_logarithmic_has_no_list_of_values() -> None:
    assert Range(low=1, high=64, log=True).values == ()
    assert Range(low=0.0, high=1.0, step=0.25).values == (0.0, 0.25, 0.5, 0.75, 1.0)


def test_a_value_of_a_range_lies_on_its_steps() -> None:
    whole, steps = Range(low=1, high=9), Range(low=0.0, high=1.0, step=0.1)
    assert whole.holds(4)
    assert not whole.holds(4.5)
    assert not Range(low=1, high=64, log=True).holds(1.5)
    assert all(steps.holds(0.1 * place) for place in range(11))
    assert not steps.holds(0.25)


def test_a_grid_that_no_memory_holds_is_tried_one_by_one() -> None:
    parameters = {f"factory_args.p{place}": {"low": 1, "high": 1000} for place in range(6)}
    fields = {
        "model": "m",
        "target": "t",
        "data": "d",
        "objectives": ["top1"],
        "parameters": parameters,
        "sampler": "grid",
    }
    space = Space.model_validate(fields)
    assert space.size == 10**18
    first = next_of_grid(space, set())
    assert first is not None
    assert first == next_of_grid(space, set())
    assert first != next_of_grid(space, {tuple(first.values())})
    assert all(space.parameters[name].holds(value) for name, value in first.items())
    more = {**parameters, "factory_args.p6": {"low": 1, "high": 1000}}
    with pytest.raises(ValueError, match="more configurations than can be counted"):
        Space.model_validate({**fields, "parameters": more})


def test_what_replaces_fields_is_checked_like_the_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(GOOD.replace("sampler: grid", "").replace("{low: 4, high: 32, step: 4}", "{low: 4.0, high: 32.0}"))
    assert read_space(path, {"trials": 7}).trials == 7
    with pytest.raises(InputError, match=r"space\.yaml.*width has no end of values"):
        read_space(path, {"sampler": "grid"})
    with pytest.raises(InputError, match=r"space\.yaml:\d+: field seed"):
        read_space(path, {"seed": 1 << 40})


def test_of_two_limits_on_a_figure_the_tighter_one_counts() -> None:
    limits = Limits.model_validate(
        {"bytes": 900, "fps": 3.0, "least": {"fps": 5.0}, "most": {"bytes": 800, "ece": 0.1}}
    )
    assert limits_of(limits, {"bytes": 500.0, "rss_bytes": 9.0}, "a-board") == {
        "bytes<=": (500.0, "a-board"),
        "rss_bytes<=": (9.0, "a-board"),
        "fps>=": (5.0, "limits"),
        "ece<=": (0.1, "limits"),
    }
    assert limits_of(limits, {}, "a-board")["bytes<="] == (800, "limits")


def test_compression_is_searched_only_where_there_are_passes(tmp_path: Path) -> None:
    searched = GOOD.replace(
        "  deploy.threads:", "  compress.prune.macs: {low: 0.2, high: 0.8, step: 0.2}\n  deploy.threads:"
    )
    searched = searched.replace("baseline: {", "baseline: {compress.prune.macs: 0.4, ")
    with pytest.raises(InputError, match=r"space\.yaml.*needs `compress:`"):
        _read(tmp_path, searched)
    assert _read(tmp_path, searched + "compress: {passes: [{pass: prune}]}\n").size == 8 * 4 * 2 * 2
