"""The log as it is written: one JSON object a line, secrets hidden in message, arguments and traceback, troubles kept."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.config.clips import ClipsSection
from edgesdk_agent.config.mqtt import MqttSection
from edgesdk_agent.config.secrets import secrets_of
from edgesdk_agent.logs.json_lines import JsonLines
from edgesdk_agent.logs.redaction import Redaction, RedactionFilter
from edgesdk_agent.logs.troubles import Troubles

SECRET = "hunter2-Zq"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO, Troubles]]:
    out = io.StringIO()
    shown, troubles = logging.StreamHandler(out), Troubles(lambda: 100.0)
    shown.setFormatter(JsonLines())
    redaction = Redaction()
    redaction.add(SECRET, "ab")
    logger = logging.getLogger("edgesdk-test-logs")
    logger.propagate, logger.level = False, logging.DEBUG
    for handler in (shown, troubles):
        handler.addFilter(RedactionFilter(redaction))
        logger.addHandler(handler)
    yield logger, out, troubles
    logger.handlers.clear()


def test_a_line_is_an_object_with_camera_and_frame(log: tuple[logging.Logger, io.StringIO, Troubles]) -> None:
    logger, out, _ = log
    thread = threading.Thread(target=lambda: logger.warning("it is\n%s", "back"), name="edgesdk-capture-gate")
    thread.start()
    thread.join()
    logger.info("one", extra={"camera": "yard", "seq": 7})
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["camera"], first["level"], first["message"]) == ("gate", "warning", "it is\nback")
    assert first["at"].endswith("Z")
    assert (second["camera"], second["seq"]) == ("yard", 7)


def test_no_secret_leaves_by_message_arguments_or_traceback(log: tuple[logging.Logger, io.StringIO, Troubles]) -> None:
    logger, out, troubles = log
    logger.error("opens rtsp://admin:%s@10.0.0.7/live with password=%s", SECRET, "other-one")
    logger.error('{"token": "abcdef123"} Authorization: Basic YWRtaW46aHVudGVyMg==')
    try:
        raise ValueError(f"cannot open http://u:p4ssw0rd@host/ {SECRET}")
    except ValueError:
        logger.exception("failed")
    for text in (out.getvalue(), "\n".join(troubles.last())):
        for secret in (SECRET, "other-one", "abcdef123", "YWRtaW46aHVudGVyMg", "p4ssw0rd"):
            assert secret not in text
        assert "rtsp://***@10.0.0.7/live" in text
        assert "ValueError" in text
    assert json.loads(out.getvalue().splitlines()[-1])["traceback"].startswith("Traceback")
    assert troubles.counts() == {"warnings": 0, "errors": 3}
    assert troubles.errors_per_minute() == 3


def test_a_line_that_cannot_be_written_ends_nobody(log: tuple[logging.Logger, io.StringIO, Troubles]) -> None:
    logger, out, _ = log
    logger.warning("%d frames", "many")
    assert "frames" in out.getvalue()


@given(st.text(max_size=200))
def test_redaction_takes_any_text_and_never_lets_a_known_secret_through(text: str) -> None:
    redaction = Redaction()
    redaction.add(SECRET)
    assert SECRET not in redaction(f"{text}{SECRET}{text}")


def test_the_secrets_of_a_configuration_are_found() -> None:
    section = MqttSection.model_validate({"url": "mqtt://u:fr%40nk@host", "password": "s3cret-one"})
    assert "s3cret-one" in set(secrets_of(section))
    clips = ClipsSection.model_validate(
        {"sources": {"gate": "rtsp://u:m%40pped@cam/main"}, "upload": {"token": "t0ken-up"}}
    )
    assert {"m%40pped", "m@pped", "t0ken-up"} <= set(secrets_of(clips))
