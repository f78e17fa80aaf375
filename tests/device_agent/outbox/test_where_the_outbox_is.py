"""Where an agent keeps its reports: in the file that is named, else in the service's state folder, else in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_agent.agent_queue import open_queue
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.errors import InputError
from edgesdk_testkit.collector_model import Collector, Device, report


def config(**sections: object) -> AgentConfig:
    cameras = [{"name": "gate", "source": "0"}]
    return AgentConfig.model_validate({"bundle": "a.edgebundle", "cameras": cameras, **sections})


def test_a_service_has_an_outbox_unasked_that_waits_for_no_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert isinstance(open_queue(config(), mqtt=True), ReportQueue)
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'state'}:{tmp_path / 'other'}")
    queue = open_queue(config(), mqtt=True)
    assert isinstance(queue, Outbox)
    assert not queue.settings.by_collector
    assert queue.settings.once_heard
    queue.put(ReportKind.EVENT, report(ReportKind.EVENT))
    queue.close()
    again = open_queue(config(mqtt={"url": "mqtt://host", "acknowledge": "collector"}), mqtt=True)
    assert isinstance(again, Outbox)
    assert again.settings.by_collector
    assert again.pending == 1, "what one process kept, the next one sends"
    again.close()
    assert (tmp_path / "state" / "outbox.db").exists()


def test_a_path_that_is_written_wins_and_waits_for_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    queue = open_queue(config(outbox={"path": str(tmp_path / "mine.db")}), mqtt=True)
    assert isinstance(queue, Outbox)
    assert queue.settings.by_collector
    queue.close()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("ends", ["killed", "well"])
def test_the_outbox_of_a_service_waits_for_a_collector_from_the_first_one_on(tmp_path: Path, ends: str) -> None:
    device = Device(tmp_path, OutboxSettings(by_collector=False, once_heard=True))
    collector = Collector()

    def sent_and_left() -> int:
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
        device.send(collector)
        return device.box.pending

    assert sent_and_left() == 0, "nobody is there: the broker's word is enough"
    device.box.acknowledge(collector.ack("f" * 16))
    assert sent_and_left() == 0, "an answer to somebody else is none"
    device.box.acknowledge(collector.ack(device.box.epoch))
    assert sent_and_left() == 1
    device.wait(1.0)
    device.kill() if ends == "killed" else device.restart()
    assert device.box.settings.by_collector, "the file remembers it"
    assert sent_and_left() == 2
    # Who says that the broker's word is enough is obeyed.
    device.settings = OutboxSettings(by_collector=False)
    device.restart()
    device.box.give_back()
    device.wait(60.0)
    device.drain(collector)
    assert sent_and_left() == 0
    device.box.close()


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    file = tmp_path / "outbox.db"
    for _ in range(2):
        box = Outbox(file, "acme.gate")
        box.put(ReportKind.EVENT, report(ReportKind.EVENT))
        assert box.commit()
        found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert set(found) == {
            "outbox.db",
            "outbox.db-wal",
            "outbox.db.recent",
            "outbox.db.next.recent",
            "outbox.db.room",
        }
        assert set(found.values()) == {0o600}
        box.close()
        file.chmod(0o644)


def test_a_folder_is_no_outbox(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/")):
        with pytest.raises(InputError, match="is a folder") as refused:
            open_queue(config(outbox={"path": str(folder)}), mqtt=True)
        assert refused.value.hint == f"Name a file in it: {folder / 'outbox.db'}."


@pytest.mark.parametrize("writable", [True, False], ids=["on disk", "in memory alone"])
def test_what_ends_with_the_process_is_not_said_to_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, writable: bool
) -> None:
    caplog.set_level("INFO")
    if not writable:
        (tmp_path / "0").write_text("a file where the folder should be")
    device = Device(tmp_path)
    assert ("reports wait in memory" in caplog.text) is not writable, "the log says it at the start"
    for _ in range(3):
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    assert device.box.only_in_memory == (0 if writable else 3)
    device.box.close()
    assert ("3 reports stay in the outbox" in caplog.text) is writable
    assert ("3 reports end with this process" in caplog.text) is not writable
