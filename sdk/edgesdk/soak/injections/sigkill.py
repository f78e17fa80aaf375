"""An agent that is killed in the middle of whatever it does; it is started again as a service manager would."""

from __future__ import annotations

from edgesdk.soak.field import Field


class SigKill:
    """SIGKILL to the agent."""

    name = "sigkill"
    lasts_s = 1.0
    may_end_agent = True
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        field.agent.kill()

    def end(self, field: Field) -> None:
        if not field.agent.pid:
            field.agent.start()
