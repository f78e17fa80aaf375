"""What a verification found, for each variant and for the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgesdk_targets.bundle.manifest import Manifest, Status, Variant

if TYPE_CHECKING:
    from edgesdk.evaluate.scorecard import Scorecard

Verdict = Literal["pass", "fail", "cannot run"]


@dataclass(frozen=True, slots=True)
class VerifiedVariant:
    """What was found about one variant.

    Attributes:
        status: on what it was checked.
        golden: the golden report as JSON; None where it did not come so far.
        scorecard: where labelled data were given.
        problem: why it did not run, in words.
    """

    variant: Variant
    status: Status
    verdict: Verdict
    runtime: str | None = None
    golden: dict[str, Any] | None = None
    scorecard: Scorecard | None = None
    problem: str | None = None
    hint: str = ""

    def in_words(self) -> str:
        """Return what was found, one line for a person."""
        if self.problem is not None:
            return self.problem
        golden = self.golden or {}
        if golden.get("verdict") == "pass":
            return f"{golden['pictures']} pictures as when it was built"
        return f"{golden.get('diverged')} diverges: {golden.get('why')}"

    def to_json(self) -> dict[str, Any]:
        return {
            "variant": self.variant.id,
            "target": self.variant.target,
            "runtime": self.runtime,
            "precision": self.variant.precision.value,
            "status": self.status,
            "verdict": self.verdict,
            "golden": self.golden,
            "metrics": self.scorecard.to_json()["metrics"] if self.scorecard else {},
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found about a bundle.

    Attributes:
        skipped: (variant id, reason) of those that nothing here runs.
    """

    manifest: Manifest
    digest: str
    variants: tuple[VerifiedVariant, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def verdict(self) -> Verdict:
        verdicts = [one.verdict for one in self.variants]
        return "fail" if "fail" in verdicts else "cannot run" if "cannot run" in verdicts else "pass"

    def to_json(self) -> dict[str, Any]:
        variants = [one.to_json() for one in self.variants]
        return {
            "task": self.manifest.task,
            "metrics": next((one["metrics"] for one in variants if one["metrics"]), {}),
            "verdict": self.verdict,
            "digest": self.digest,
            "variants": variants,
            "skipped": [{"variant": name, "reason": reason} for name, reason in self.skipped],
        }
