"""A shadow run as a command asks for it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edgesdk_targets.errors import InputError
from edgesdk_targets.time_span import seconds_of

if TYPE_CHECKING:
    # Every command of the agent adds these flags, and most are about something else.
    from edgesdk_agent.shadow.plan import ShadowPlan

# Of its time a run is not cut short by a good verdict before so much, five minutes at most.
_LEAST_PART, _LEAST_S = 4, 300.0


def seconds(text: str) -> float:
    """Read a time such as `1h`, `20m`, `90s` or `90`. Raises argparse.ArgumentTypeError."""
    try:
        return seconds_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.message} {error.hint}") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a shadow run to a command that installs."""
    parser.add_argument(
        "--shadow", type=seconds, metavar="TIME", help="run it beside the model that runs first: 1h, 20m, 90s at most"
    )
    parser.add_argument(
        "--share", type=float, help="of frames and of time that the shadow run may take, 0.05 unless given"
    )
    parser.add_argument("--differ", type=float, metavar="SHARE", help="how far its answers may differ, 0 to 1")
    parser.add_argument(
        "--then-wait", action="store_true", help="once promoted, stay staged until installed without --shadow"
    )


def plan_of(options: argparse.Namespace) -> ShadowPlan | None:
    """Return the shadow run that flags ask for; None where they ask for none.

    Raises:
        InputError: a value is out of its bounds, or --shadow is missing.
    """
    from pydantic import ValidationError

    from edgesdk_agent.shadow.plan import ShadowPlan
    from edgesdk_targets.field_problems import field_problems

    given: dict[str, Any] = {"share": options.share, "differ": options.differ}
    given = {name: value for name, value in given.items() if value is not None}
    if options.shadow is None:
        if given or options.then_wait:
            raise InputError(
                "--share, --differ and --then-wait go with --shadow.", hint="Say for how long: --shadow 1h"
            )
        return None
    least_s = min(_LEAST_S, options.shadow / _LEAST_PART)
    then = "wait" if options.then_wait else "go on"
    try:
        return ShadowPlan(lasts_s=options.shadow, least_s=least_s, then=then, **given)
    except ValidationError as error:
        problem = field_problems(ShadowPlan, error)[0]
        raise InputError(f"--shadow: {problem.sentence}", hint=problem.hint) from error
