"""What do shadow runs of real models conclude? Whole runs, one after the other, and how many came to the right verdict.

    python benchmarks/shadow_verdicts.py BUNDLE [--rounds 20] [--minutes 30] [--only CASE …] [--json]

A detector watches the belt, and beside it run, in processes of their own, a candidate and a copy of itself: the same model; one
whose weights are off by a hundredth of their spread; one that no longer knows one class; one whose network does its work three
times; one that takes 64 kB more with each picture. Each run has a belt of its own, and where there is something to choose another
noise or another class. A rejection counts only for the right reason.

A run may take all that the machine has left, and frames need not be two seconds apart to count: it is the verdict that is looked
at, not the price, and this belt shows other digits soon. BUNDLE is the sample detector, converted for `generic-onnx`. Ends with 1
where less than 95 of 100 of a case are right.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_agent.delivery.inline import InlineDelivery  # noqa: E402
from edgesdk_agent.embedding import Pipeline  # noqa: E402
from edgesdk_agent.frame import FrameResult  # noqa: E402
from edgesdk_agent.health.facts import Facts  # noqa: E402
from edgesdk_agent.shadow.model_process import Bundled  # noqa: E402
from edgesdk_agent.shadow.next_frame import NextFrame, ShadowedDelivery  # noqa: E402
from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary  # noqa: E402
from edgesdk_agent.shadow.run import Pair, ShadowRun, ShadowSettings  # noqa: E402
from edgesdk_targets.bundle.bundle import Bundle, open_bundle, write_bundle  # noqa: E402
from edgesdk_targets.model import load_model  # noqa: E402
from edgesdk_targets.session import SessionOptions  # noqa: E402
from edgesdk_testkit import bad_models  # noqa: E402
from edgesdk_testkit.bad_models import Content  # noqa: E402

_TARGET, _FPS, _RIGHT = "generic-onnx", 60, 0.95
# A run that stands back comes to nothing for long beside other work.
_LASTS_S, _LEAST_S = 900.0, 5.0


@dataclass(frozen=True)
class Case:
    """A kind of candidate: how one is made, by the run's number, and what must be concluded, for which reason."""

    make: Callable[[Bundle, int], Content]
    verdict: str
    says: str = ""


def _without_a_class(bundle: Bundle, number: int) -> Content:
    classes = len(bundle.manifest.labels)
    return bad_models.with_clock(bundle, bad_models.misses(classes, number % classes), 0)


CASES = {
    "same": Case(lambda bundle, _number: bad_models.as_it_is(bundle), "promote"),
    "slightly noisy": Case(lambda bundle, number: bad_models.noisy(bundle, 0.01, number), "promote"),
    "one class broken": Case(_without_a_class, "reject", "differ"),
    "3x slower": Case(lambda bundle, _number: bad_models.three_times(bundle), "reject", "times as long"),
    "leaking": Case(
        lambda bundle, _number: bad_models.with_clock(bundle, bad_models.drips, 0), "reject", "memory grows"
    ),
}


@dataclass
class Count:
    """What became of one case."""

    runs: int = 0
    right: int = 0
    seconds: float = 0.0
    frames: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them by turns, until the rounds or the time are over, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no further run is begun after so long")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round: others give other runs")
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.minutes * 60
    counts = {name: Count() for name in options.only}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, name in _turns(options):
                if time.monotonic() >= until:
                    break
                said = _run(options.bundle, CASES[name], number, Path(folder) / "candidate.edgebundle")
                _count(counts[name], CASES[name], said)
                line = f"{name}, run {number}: {said.in_words()}"
                wrong += [] if _is_right(CASES[name], said) else [line]
                sys.stderr.write(line + "\n")
        except KeyboardInterrupt:
            sys.stderr.write("ended early\n")
    _tell(counts, wrong, as_json=options.json)
    return int(any(one.right < _RIGHT * one.runs for one in counts.values()))


def _turns(options: argparse.Namespace) -> Iterator[tuple[int, str]]:
    for number in range(options.first, options.first + options.rounds):
        for name in options.only:
            yield number, name


def _run(original: Path, case: Case, number: int, candidate: Path) -> ShadowSummary:
    """Do one whole shadow run, and return what it says."""
    with open_bundle(original) as bundle:
        write_bundle(candidate, *case.make(bundle, number))
    frames = NextFrame()
    with load_model(original, target=_TARGET, options=SessionOptions(threads=1)) as model:
        delivery = ShadowedDelivery(frames, InlineDelivery(_nothing), pictures=False)
        camera = f"conveyor:?fps={_FPS}&seed={number}"
        with Pipeline(model, camera, on_result=delivery, policy="freshest", live=True) as pipeline:
            pipeline.keep_images(True)
            pair = Pair(Bundled(candidate, _TARGET), Bundled(original, _TARGET), model.digest, model.manifest.task)
            plan = ShadowPlan(lasts_s=_LASTS_S, least_s=_LEAST_S, share=1.0)
            settings = ShadowSettings(apart_s=0.0, look_s=0.1)
            run = ShadowRun(pair, plan, frames, _calm, lasts_s=_LASTS_S, settings=settings)
            run.start()
            try:
                while run.summary is None:
                    time.sleep(0.1)
            finally:
                run.stop()
    return run.summary


def _calm() -> Facts:
    return Facts(at=time.monotonic(), uptime_s=1.0, age_p95_ms=5.0)


def _is_right(case: Case, said: ShadowSummary) -> bool:
    return said.verdict == case.verdict and (not case.says or any(case.says in one for one in said.reasons))


def _count(count: Count, case: Case, said: ShadowSummary) -> None:
    count.runs += 1
    count.right += _is_right(case, said)
    count.seconds += said.seconds
    count.frames += said.frames


def _tell(counts: dict[str, Count], wrong: list[str], *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "case": name,
            "right": one.right,
            "of": one.runs,
            "frames_each": round(one.frames / max(one.runs, 1)),
            "seconds_each": round(one.seconds / max(one.runs, 1), 1),
        }
        for name, one in counts.items()
    ]
    if as_json:
        sys.stdout.write(json.dumps({"cases": rows, "wrong": wrong}, indent=2) + "\n")
        return
    for row in rows:
        sys.stdout.write(
            f"{row['case']:18} {row['right']:3} of {row['of']:3} right, "
            f"{row['frames_each']} frames and {row['seconds_each']} s each\n"
        )
    for line in wrong:
        sys.stdout.write(f"wrong: {line}\n")


def _nothing(_result: FrameResult) -> None:
    """Nobody takes the results."""


if __name__ == "__main__":
    sys.exit(main())
