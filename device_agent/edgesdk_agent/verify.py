"""`edgesdk-agent verify`: the golden set of a bundle, on the device itself, with nothing but what the agent needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.variant_choice import choose_variants


def verify_bundle(path: Path, *, target: str | None, variant: str | None, every: bool, threads: int) -> dict[str, Any]:
    """Check the variant that the agent would run, or every one that runs here.

    Raises:
        BundleError: the bundle is damaged, has no golden set, or nothing in it can run here.
        SessionFailed: no variant that could run here does; of `every`, that is a line of the report.
        MissingExtra: likewise, as a runtime does not load.
    """
    options = SessionOptions(threads=threads)
    with open_bundle(path) as bundle:
        if not every:
            with load_model(bundle, target=target, variant=variant, options=options, probe=True) as model:
                reports = [check_golden(bundle, model).to_json()]
        else:
            choice = choose_variants(bundle.manifest, target=target, variant_id=variant)
            names = list(dict.fromkeys(candidate.variant.id for candidate in choice.candidates))
            reports = [_checked(bundle, name, options) for name in names]
        verdicts = {report["verdict"] for report in reports}
        verdict = "fail" if "fail" in verdicts else "cannot run" if "cannot run" in verdicts else "pass"
        return {"task": bundle.manifest.task, "metrics": {}, "verdict": verdict, "variants": reports}


def _checked(bundle: Bundle, name: str, options: SessionOptions) -> dict[str, Any]:
    try:
        with load_model(bundle, variant=name, options=options, probe=True) as model:
            return check_golden(bundle, model).to_json()
    except (SessionFailed, MissingExtra) as error:
        return {"variant": name, "verdict": "cannot run", "diverged": None, "why": error.message}


def in_words(found: dict[str, Any]) -> str:
    """Return a line for each variant."""
    lines = []
    for one in found["variants"]:
        said = f"{one['pictures']} pictures as when it was built" if one["verdict"] == "pass" else one["why"]
        stage = f"{one['diverged']} diverges: " if one["diverged"] else ""
        lines.append(f"{one['variant']}: {one['verdict']}: {stage}{said}")
    return "\n".join(lines)
