"""The report of a compression: what was tried, what each pass brought and cost, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk.compression.taken import taken
from edgesdk.report.curves import Line, curves
from edgesdk.report.page import Page
from edgesdk.report.plots import scatter
from edgesdk.train.page import add_curves

_PLOTTED = 6
# Of a pass's record.
_SHOWN_APART = frozenset({"sensitivity", "layer_sensitivity", "brings"})


def compression_page(document: Mapping[str, Any]) -> Page:
    """Return the report.

    Args:
        document: as `Compression.to_json` gives it; of a run that ended early with `stopped`, the reason, and without a conversion.
    """
    before, after = document["before"], document["after"]
    page = Page(
        f"Compression of {document['card'].rpartition('/')[2].removesuffix('.yaml')}",
        f"{before['macs'] / max(1, after['macs']):.2f} times fewer multiplications, "
        f"{before['bytes'] / max(1, after['bytes']):.2f} times fewer bytes of weights in float.",
    )
    if stopped := document.get("stopped"):
        page.text(f"The run ended early: {stopped}")
    page.heading("What was taken, and why")
    for line in taken(document):
        page.text(line)
    _course(page, document)
    page.heading("Passes").table(
        ["pass", "asked for", "MACs", "numbers", "not 0", "bytes", "deflated", f"{document['figure']} at once", "at the end",
         "gate"],
        [_first(document), *(_row(report) for report in document["passes"])],
        "Scores are quick figures on pictures to choose by; the gate judges by all of data.evaluate, against the model before "
        "all passes.",
    )  # fmt: skip
    for report in document["passes"]:
        if report["reason"]:
            page.text(f"{report['kind']}: {report['outcome']}: {report['reason']}")
    _sensitivity(page, document)
    for report in document["passes"]:
        if measured := report["record"].get("layer_sensitivity"):
            _layers(page, report["kind"], measured, document["figure"])
    for report in document["passes"]:
        _details(page, report)
    if document["conversion"] is not None:
        _artifacts(page, document["conversion"])
    for warning in document["warnings"]:
        page.text(f"warning: {warning}")
    return page


def _course(page: Page, document: Mapping[str, Any]) -> None:
    """Show what each pass brought and cost, a point each."""
    kilobytes = [
        document["before"]["deflated_bytes"] / 1000,
        *(one["after"]["deflated_bytes"] / 1000 for one in document["passes"]),
    ]
    scores = [document["score"], *(one["score"] for one in document["passes"])]
    names = ["none", *(f"{number}. {one['kind']}" for number, one in enumerate(document["passes"], 1))]
    points = list(zip(kilobytes, scores, names, strict=True))
    plot = scatter(points, across="weights, deflated (kB)", up=document["figure"], front=range(len(points)), most=1.0)
    page.figure(plot, "Size and accuracy: from the model as it was, pass by pass along the line.")


def _first(document: Mapping[str, Any]) -> list[str]:
    return ["none", "", *_size(document["before"]), "", _share(document["score"]), ""]


def _row(report: Mapping[str, Any]) -> list[str]:
    settings = {
        name: value for name, value in report["settings"].items() if name not in {"pass", "recover", "training"}
    }
    asked = ", ".join(f"{name} {value}" for name, value in settings.items())
    applied = report["score_applied"]
    at_once = "" if applied is None else _share(applied)
    return [report["kind"], asked, *_size(report["after"]), at_once, _share(report["score"]), report["outcome"]]


def _size(size: Mapping[str, int]) -> list[str]:
    return [f"{size[name]:,}" for name in ("macs", "parameters", "nonzeros", "bytes", "deflated_bytes")]


def _share(value: float) -> str:
    return f"{value:.2%}"


def _sensitivity(page: Page, document: Mapping[str, Any]) -> None:
    rows = document["sensitivity"]
    if not rows:
        return
    page.heading("What each group of channels bears")
    ratios = rows[0]["ratios"]
    lines = [Line(row["name"], [0.0, *ratios], [document["score"], *row["scores"]]) for row in rows[:_PLOTTED]]
    plot = curves(lines, across="part of the channels gone", up=document["figure"], most=1.0)
    page.figure(plot, f"The {len(lines)} most sensitive of {len(rows)} groups; each alone, without any training.")
    page.table(
        ["group", "channels", *(f"without {ratio:.0%}" for ratio in ratios), "layers"],
        [[row["name"], str(row["channels"]), *map(_share, row["scores"]), ", ".join(row["layers"])] for row in rows],
    )


def _layers(page: Page, kind: str, measured: Mapping[str, Any], figure: str) -> None:
    """Show what each layer bore before a pass, and what the pass made of it."""
    rows = measured["layers"]
    page.heading(f"What each layer bears: {kind}")
    page.text(
        f"{figure} at once: {_share(measured['score_alike'])} with all layers alike, {_share(measured['score_by_layer'])} with "
        f"each as it bears, in no more {measured['unit']}. Taken: {measured['taken']}."
    )
    if not rows:
        return
    lines = [Line(row["layer"], row["amounts"], row["scores"]) for row in rows[:_PLOTTED]]
    plot = curves(lines, across=measured["across"], up=figure, most=1.0)
    page.figure(plot, f"The {len(lines)} most sensitive of {len(rows)} layers; each alone, without any training.")
    page.table(
        ["layer", "alike", "at once", "chosen", "at once", f"{measured['unit']}, alike → chosen", "all that was tried"],
        [
            [
                row["layer"],
                *(
                    text
                    for place in (row["alike"], row["taken"])
                    for text in (row["means"][place], _share(row["scores"][place]))
                ),
                f"{row['sizes'][row['alike']]:,.0f} → {row['sizes'][row['taken']]:,.0f}",
                "; ".join(
                    f"{means}: {_share(score)}, {_share(error)} off"
                    for means, score, error in zip(row["means"], row["scores"], row["errors"], strict=True)
                ),
            ]
            for row in rows
        ],
        "Off is the part of the weights' sum of squares that is lost: it decides where scores are alike. Sizes are counted from "
        "the model as it was, where they are less than 0.",
    )


def _details(page: Page, report: Mapping[str, Any]) -> None:
    page.heading(f"{report['kind']}: what it did")
    rows = [[name, _plain(value)] for name, value in report["record"].items() if name not in _SHOWN_APART]
    if training := report["training"]:
        rows += [
            [f"training: {name}", _plain(training[name])]
            for name in ("epochs", "ended", "metric", "best", "best_epoch", "seconds", "device")
            if name in training
        ]
    page.table(["what", "value"], rows)
    if brings := report["record"].get("brings"):
        _brings(page, brings)
    if training and training.get("history"):
        add_curves(page, training)


def _brings(page: Page, brings: Mapping[str, Any]) -> None:
    """Show what a pass brought on each runtime: measured, or what is known of it."""
    columns = ("ms", "unpacked_bytes", "deflated_bytes")
    rows = [
        [
            runtime,
            *(" → ".join(_turns(found[name][when]) for when in ("before", "after")) for name in columns),
            found["time"],
        ]
        if isinstance(found, Mapping)
        else [runtime, "", "", "", str(found)]
        for runtime, found in brings.items()
    ]
    page.table(["runtime", "ms, of each turn", "bytes, unpacked", "bytes, deflated", "time"], rows)


def _turns(value: Any) -> str:
    return " / ".join(f"{time:.4g}" for time in value) if isinstance(value, list) else f"{value:,}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _artifacts(page: Page, conversion: Mapping[str, Any]) -> None:
    page.heading("Artifacts").table(
        ["variant", "precision", "bytes", "accuracy", "why"],
        [
            [
                variant["id"],
                variant["precision"],
                f"{variant['bytes']:,}",
                str(variant["accuracy"].get("outcome", "not measured")),
                str(variant["accuracy"].get("reason", "")),
            ]
            for variant in conversion["variants"]
        ],
        conversion["bundle"],
    )
