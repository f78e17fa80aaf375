"""A timeline in the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

One row a thread; an arrow joins the stages of each frame. Times are microseconds since the first span.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_agent.timeline.timeline import Span

_PROCESS = 1


def trace_events(spans: Sequence[Span]) -> dict[str, object]:
    """Return the document to write as JSON."""
    origin = min((span.start_s for span in spans), default=0.0)
    # Rows stand in the order in which the threads first worked: the order of the stages.
    rows = {name: number for number, name in enumerate(dict.fromkeys(span.thread for span in spans), 1)}
    # A frame's arrow begins at the first stage after capturing.
    shown = {(span.camera, span.seq) for span in spans if span.stage == "on_frame"}
    events: list[dict[str, object]] = [
        {"ph": "M", "pid": _PROCESS, "name": "process_name", "args": {"name": "edgesdk"}},
        *(
            {"ph": "M", "pid": _PROCESS, "tid": row, "name": "thread_name", "args": {"name": name}}
            for name, row in rows.items()
        ),
    ]
    for span in spans:
        events.append(
            {
                "ph": "X",
                "pid": _PROCESS,
                "tid": rows[span.thread],
                "name": span.stage,
                "cat": "stage",
                "ts": round((span.start_s - origin) * 1e6, 1),
                "dur": round((span.end_s - span.start_s) * 1e6, 1),
                "args": {"camera": span.camera, "frame": span.seq},
            }
        )
        if span.stage != "capture":
            events.append(
                {
                    "ph": _arrow(span, begun=(span.camera, span.seq) in shown),
                    "bp": "e",
                    "pid": _PROCESS,
                    "tid": rows[span.thread],
                    "name": "frame",
                    "cat": "frame",
                    "id": f"{span.camera}/{span.seq}",
                    "ts": round((span.start_s - origin) * 1e6, 1),
                }
            )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _arrow(span: Span, *, begun: bool) -> str:
    """Return how a stage takes part in its frame's arrow: it starts it, goes on with it, or finishes it."""
    if span.stage == "deliver":
        return "f"
    return "s" if span.stage == "on_frame" or (span.stage == "preprocess" and not begun) else "t"
