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
                    "ph": {"preprocess": "s", "infer": "t", "deliver": "f"}[span.stage],
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
