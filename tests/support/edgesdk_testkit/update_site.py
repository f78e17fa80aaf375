"""A device with a real launcher and agent, a broker, and a web server with signed bundles: whatever updates are tried on."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.fleet.broker import Broker
from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.main import run as run_agent
from edgesdk_agent.update import launcher
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, chunks_of
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit.mqtt_listener import Heard, MqttListener
from edgesdk_testkit.range_server import serving

PATIENCE_S = 120.0
_AGENT = [sys.executable, "-m", "edgesdk_agent.main"]


@dataclass
class Answered:
    """What a command said: its exit code, its document, and its errors."""

    code: int
    found: Any
    errors: str


@dataclass
class Site:
    """A device under its launcher, and whoever makes its bundles.

    Attributes:
        bundles: where signed bundles lie, which a web server shows at `url`.
        camera: what it looks at; trial: what a trial asks for. As patient as a machine with other work needs.
        more: further sections of its configuration.
    """

    root: Path
    config: Path
    original: Path
    bundles: Path
    url: str
    listener: MqttListener
    key: PrivateKey = field(default_factory=lambda: PrivateKey.new("box"))
    process: subprocess.Popen[bytes] | None = None
    camera: str = "source: 'conveyor:?fps=10', mode: freshest"
    trial: str = "soak_s: 1, frames: 5, slower: 100, unlike: off, trial_s: 100, trial_starts: 2"
    more: str = ""

    def set_up(self, broker: object) -> None:
        """Write the configuration, and put version 1.0.1 into a slot."""
        self.config.with_name("trusted.keys").write_text(TrustedKeys.of(self.key.public).to_text())
        self.config.write_text(
            f"bundle: {self.published(1)}\n"
            f"cameras: [{{name: belt, {self.camera}}}]\n"
            f"mqtt: {{url: '{broker}'}}\n"
            "health: {age_budget_ms: 60000}\n"
            f"update: {{keys: [trusted.keys], folder: {self.root}, {self.trial}}}\n{self.more}"
        )
        begun = self.update("begin")
        assert begun.code == 0, begun.errors
        shutil.copy(launcher.__file__, self.config.with_name("launcher.py"))

    def launch(self) -> None:
        """Start the launcher, as a service manager does."""
        copy = self.config.with_name("launcher.py")
        agent = [
            *_AGENT,
            "run",
            "--config",
            str(self.config),
            "--bundle",
            "{slot}/model.edgebundle",
            "--quiet",
            "--json",
        ]
        with self._told.open("ab") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(copy), str(self.root), "--", *agent], stdout=told
            )

    def summaries(self) -> list[dict[str, Any]]:
        """Return what each start of the agent said at its end."""
        text, found, reader = self._told.read_text("utf-8").strip(), [], json.JSONDecoder()
        while text:
            summary, end = reader.raw_decode(text)
            found.append(summary)
            text = text[end:].strip()
        return found

    @property
    def _told(self) -> Path:
        return self.config.with_name("agent.json")

    def keep_launched(self) -> None:
        """Start a launcher that ended again, as a service manager does."""
        assert self.process is not None
        if self.process.poll() is not None:
            self.launch()

    def kill_launcher(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self) -> int:
        """Ask the launcher to stop, and return its code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def published(self, number: int, **preprocess: Any) -> Path:
        """Return a signed bundle of version `1.0.NUMBER`; with another preprocessing its golden set is not met."""
        with open_bundle(self.original) as bundle:
            files = {name: bundle.read(name) for name in bundle.manifest.files}
            data = bundle.manifest.model_dump(mode="json", by_alias=True)
        data["preprocess"].update(preprocess)
        return self.publish(number, Manifest.model_validate(data), files)

    def publish(self, number: int, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
        """Return a signed bundle of version `1.0.NUMBER`, release NUMBER."""
        path = self.bundles / f"{number}.edgebundle"
        write_bundle(path, manifest.model_copy(update={"version": f"1.0.{number}"}), files)
        with open_bundle(path) as bundle:
            sign_bundle(bundle, self.key, path, release=number)
        with open_bundle(path) as bundle:
            beside = path.with_name(path.name + CHUNKS_SUFFIX)
            beside.write_bytes(chunks_of(bundle, number).to_bytes())
        return path

    def update(self, *words: str) -> Answered:
        """Run `edgesdk-agent update …`, as somebody at the device does."""
        verb, *rest = words
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run_agent(["update", verb, *rest, "--config", str(self.config), "--json", "--quiet"])
        return Answered(code, json.loads(out.getvalue() or "null"), err.getvalue())

    def results(self, version: str) -> int:
        return sum(_is_result(one, version) for one in self.listener.heard())

    def wait_for_results(self, version: str, more: int = 3) -> None:
        enough = self.results(version) + more
        self.listener.wait_until(lambda all_: sum(_is_result(one, version) for one in all_) >= enough, PATIENCE_S)

    def wait_for_step(self, version: str, step: str) -> list[dict[str, Any]]:
        """Wait until the device tells that a version came to a step, and return all that it told of updates, in order."""
        heard = self.listener.wait_until(lambda all_: any(_is_step(one, version, step) for one in all_), PATIENCE_S)
        return [one.body["data"] for one in heard if one.channel == "up/event" and one.body["name"] == "update_step"]


def _is_step(one: Heard, version: str, step: str) -> bool:
    if one.channel != "up/event" or one.body["name"] != "update_step":
        return False
    return (one.body["data"].get("version"), one.body["data"]["step"]) == (version, step)


def _is_result(one: Heard, version: str) -> bool:
    return one.channel == "up/result" and one.body["bundle"]["version"] == version


def agent_of(root: Path, slot: str) -> int:
    """Return the process of the agent that was started from a slot, whatever it took over since; 0 where none does."""
    wanted = [f"EDGESDK_SLOTS={root}".encode(), f"EDGESDK_SLOT={slot}".encode()]
    for folder in Path("/proc").iterdir():
        try:
            of = (folder / "environ").read_bytes().split(b"\0") if folder.name.isdigit() else []
            words = (folder / "cmdline").read_bytes().split(b"\0") if of else []
        except OSError:
            continue
        if all(one in of for one in wanted) and b"run" in words:
            return int(folder.name)
    return 0


def wait_for(what: Callable[[], Any], why: str = "it never came") -> Any:
    """Wait until `what` returns something, and return that."""
    until = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < until, why
        time.sleep(0.02)
    return found


@contextmanager
def update_site(folder: Path, original: Path, **settings: str) -> Iterator[Site]:
    """Yield a device whose version 1.0.1 is in a slot, not launched yet.

    Args:
        original: the bundle that all are made of.
        settings: the site's `camera` and `trial`, if others than the usual.
    """
    (folder / "bundles").mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(serving(folder / "bundles"))
        broker = stack.enter_context(Broker(port=0))
        listener = stack.enter_context(MqttListener(broker.address.host, broker.address.port))
        site = Site(folder / "update", folder / "edgesdk.yaml", original, folder / "bundles", url, listener, **settings)
        site.set_up(broker.address)
        yield site
