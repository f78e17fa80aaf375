"""From a trained model to a dashboard, on one machine, against a known truth.

Converts the digits detector for three targets, starts the fleet's service with its broker and the real agent on the
conveyor camera, and reads the results as any MQTT client would. The camera writes down what was really there; the two are
joined by the frame's number after the run.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt

from edgesdk_converters.convert import Conversion, convert
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError

ROOT = Path(__file__).resolve().parents[1]
CARD = ROOT / "examples/digits/detector.yaml"
TARGETS = ("x86-cpu", "rpi5", "jetson-orin-nano")
GOAL = 0.95
MATCH_IOU = 0.5
# In which the service stores what it has, and ends its broker and collector.
_GOODBYE_S = 30


def main() -> int:
    options = _parse()
    say = _Say(quiet=options.json)
    with tempfile.TemporaryDirectory(prefix="edgesdk-demo-") as folder, contextlib.ExitStack() as stack:
        out = Path(folder)
        say(f"Converting {CARD.relative_to(ROOT)} for {', '.join(TARGETS)} …")
        started = time.monotonic()
        conversion = convert(CARD, TARGETS, output=out, progress=say.detail)
        say(f"  {conversion.path.name} in {time.monotonic() - started:.0f} s")
        for variant in conversion.variants:
            worst = variant.parity["worst"]
            say(
                f"  {variant.id:32} {conversion.sizes[variant.id] / 1e3:7.0f} kB  {worst['sqnr_db']:.0f} dB  {variant.status}"
            )
        fleet = stack.enter_context(_fleet(out))
        broker = BrokerAddress.parse(fleet["broker"])
        say(f"Broker at {broker}")
        say(f"Dashboard at {fleet['setup']}")
        results = stack.enter_context(_listen(broker))
        if options.keep:
            say("Choose a name and a password there, and look at it live.      (Ctrl-C ends)")
        if options.open:
            webbrowser.open(fleet["setup"])
        summary = _run_agent(conversion, broker, out, None if options.keep else options.seconds, say)
        results.wait_for(summary["reports"]["delivered"]["result"])
        document = _judge(summary, results.by_frame, _truth(out / "truth.jsonl"), conversion)
    return _report(document, say, as_json=options.json)


class _Say:
    """Tell the person what happens; on stderr when stdout belongs to a JSON document."""

    def __init__(self, *, quiet: bool) -> None:
        self._stream = sys.stderr if quiet else sys.stdout

    def __call__(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def detail(self, line: str) -> None:
        if sys.stderr.isatty():
            print(f"  {line}", file=sys.stderr, flush=True)


class _Results:
    """What a plain MQTT client receives."""

    def __init__(self) -> None:
        self.by_frame: dict[int, dict[str, Any]] = {}
        self.received = 0
        self._changed = threading.Condition()

    def on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        body = json.loads(message.payload)
        with self._changed:
            self.received += 1
            self.by_frame[body["frame"]] = body["result"]
            self._changed.notify_all()

    def wait_for(self, count: int, timeout_s: float = 10.0) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.received >= count, timeout_s)


@contextlib.contextmanager
def _fleet(folder: Path) -> Iterator[dict[str, Any]]:
    """Run `edgesdk fleet serve` on a store of its own, and give what it says: where it is, and where its broker is."""
    command = [
        sys.executable, "-m", "edgesdk", "fleet", "serve", "--json", "--db", str(folder / "fleet.db"), "--port", "0",
        "--broker-port", "0", "--seal", str(folder / "seal.key"),
    ]  # fmt: skip
    log = folder / "fleet.log"
    with log.open("w") as errors:
        # Out of the terminal's reach: Ctrl-C is for the agent first, whose last results still have to arrive.
        service = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509  (no threads yet)
        )  # fmt: skip
    try:
        text = ""
        for line in service.stdout or ():
            text += line
            if line.rstrip() == "}":
                break
        if not text:
            raise SystemExit(f"demo: the fleet's service did not start\n{log.read_text()[-2000:]}")
        yield json.loads(text)
    finally:
        service.terminate()
        service.wait(_GOODBYE_S)


def _end_with_us() -> None:
    """Ask the kernel to end this child with the demo, however that ends; Linux only, as the agent is."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@contextlib.contextmanager
def _listen(broker: BrokerAddress) -> Iterator[_Results]:
    results, ready = _Results(), threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = results.on_message
    client.on_connect = lambda c, *_: c.subscribe("edgesdk/1/+/up/result", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        if not ready.wait(10):
            raise SystemExit("demo: the broker did not take the subscription")
        yield results
    finally:
        client.disconnect()
        client.loop_stop()


def _run_agent(
    conversion: Conversion, broker: BrokerAddress, out: Path, seconds: float | None, say: _Say
) -> dict[str, Any]:
    """Run the agent as its own process and return its summary."""
    command = [
        sys.executable, "-m", "edgesdk_agent.main", "run", "--json", "--quiet",
        "--bundle", str(conversion.path),
        "--source", f"conveyor:?fps=30&seed=7&truth={out / 'truth.jsonl'}",
        "--broker", str(broker), "--name", "demo", "--telemetry-interval", "2",
        *(["--duration", str(seconds)] if seconds else []),
    ]  # fmt: skip
    say(f"Agent on the conveyor{f' for {seconds:g} s' if seconds else ''} …")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
        # Ctrl-C or SIGTERM, whoever gets it: the agent stops cleanly and tells its summary.
        previous = signal.signal(signal.SIGINT, lambda *_: agent.terminate())
        signal.signal(signal.SIGTERM, lambda *_: agent.terminate())
        try:
            output, _ = agent.communicate()
        finally:
            signal.signal(signal.SIGINT, previous)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if agent.returncode != 0:
        raise SystemExit(f"demo: the agent ended with code {agent.returncode}")
    summary: dict[str, Any] = json.loads(output)
    return summary


def _truth(path: Path) -> dict[int, dict[str, Any]]:
    return {line["seq"]: line for line in map(json.loads, path.read_text().splitlines())}


def _judge(
    summary: dict[str, Any], found: dict[int, dict[str, Any]], truth: dict[int, dict[str, Any]], conversion: Conversion
) -> dict[str, Any]:
    right = said = there = 0
    for seq, result in found.items():
        hits = _matches(result["objects"], truth[seq])
        right, said, there = right + hits, said + len(result["objects"]), there + len(truth[seq]["labels"])
    return {
        **summary,
        "precision": round(right / said, 4) if said else 0.0,
        "recall": round(right / there, 4) if there else 0.0,
        "sent": summary["reports"]["delivered"]["result"],
        "received": len(found),
        "variants": [variant["id"] for variant in conversion.to_json()["variants"]],  # type: ignore[attr-defined]
    }


def _matches(objects: list[dict[str, Any]], truth: dict[str, Any]) -> int:
    """Count objects with the right label at the right place, each true one once."""
    free = list(range(len(truth["labels"])))
    hits = 0
    for found in sorted(objects, key=lambda o: -o["score"]):
        best = max(free, key=lambda i: _iou(found["box"], truth["boxes"][i]), default=None)
        if best is None or _iou(found["box"], truth["boxes"][best]) < MATCH_IOU:
            continue
        if truth["labels"][best] == found["label"]:
            free.remove(best)
            hits += 1
    return hits


def _iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(width * height / (np.sum(areas) - width * height))


def _report(document: dict[str, Any], say: _Say, *, as_json: bool) -> int:
    frames, age = document["frames"], document["age_ms"]
    say(f"  {frames['processed']} frames, {document['fps']:.1f} fps, {sum(frames['dropped'].values())} dropped")
    say(f"  age of a result: p50 {age['p50']} ms, p95 {age['p95']} ms")
    say(f"  precision {document['precision']:.3f}, recall {document['recall']:.3f} against the camera's truth")
    same = document["sent"] == document["received"]
    say(f"  results sent {document['sent']} {'=' if same else '≠'} received {document['received']}")
    if as_json:
        print(json.dumps(document, indent=2))
    good = same and min(document["precision"], document["recall"]) >= GOAL
    say("Everything is stopped." if good else f"demo: not as it should be (goal {GOAL} and sent = received)")
    return 0 if good else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the agent runs (30)")
    parser.add_argument("--keep", action="store_true", help="run until Ctrl-C")
    parser.add_argument("--open", action="store_true", help="open the dashboard in a browser")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    if not 0 < options.seconds < 1e6:
        parser.error("--seconds must be more than 0")
    return options


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except EdgeError as error:
        print(f"demo: {error}", file=sys.stderr)
        raise SystemExit(1) from None
