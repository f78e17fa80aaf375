from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.cameras.source_url import SourceUrl, redact, redact_text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.9:554/live/ch0", "rtsp://10.0.0.9:554/live/ch0"),
        ("rtsp://admin:hunter2@10.0.0.9/live", "rtsp://***@10.0.0.9/live"),
        ("rtsp://admin@10.0.0.9/live", "rtsp://***@10.0.0.9/live"),
        ("http://cam/video.mjpg?user=a&pwd=hunter2&channel=1", "http://cam/video.mjpg?user=***&pwd=***&channel=1"),
        ("http://cam/v?hunter2", "http://cam/v?***"),
        ("rtsp://cam/user=admin_password=hunter2_channel=1_stream=0.sdp", "rtsp://cam/***"),
        ("rtsp://admin:hun/ter2@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin:hun?ter2@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin:hun@ter2@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin:hun#ter2@cam/live", "rtsp://***@cam/live"),
        ("http://cam/v#hunter2", "http://cam/v"),
        ("http://cam/v?channel=a-very-long-hunter2-value", "http://cam/v?channel=***"),
        ("/home/me/a@b=c.mp4", "/home/me/a@b=c.mp4"),
        ("0", "0"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert redact(url) == shown
    source = SourceUrl(url)
    assert str(source) == shown
    assert shown in repr(source)
    assert source.reveal() == url


SECRET = st.text(st.characters(codec="utf-8"), min_size=6, max_size=20).filter(
    lambda text: "\n" not in text and "\r" not in text
)


@given(user=SECRET, password=SECRET)
def test_no_password_before_the_host_is_shown_whatever_it_holds(user: str, password: str) -> None:
    shown = redact(f"rtsp://{user}:{password}@camera.local:554/live?channel=1")
    assert shown == "rtsp://***@camera.local:554/live?channel=1"


@given(key=st.sampled_from(["password", "pwd", "token", "x", "api_key", "Channel"]), value=SECRET)
def test_no_value_of_a_query_is_shown_unless_it_is_plain(key: str, value: str) -> None:
    # The prefix makes it long enough to be no channel's number.
    secret = f"0123456789{value}"
    assert secret not in redact(f"http://camera/v.mjpg?{key}={secret}")


def test_addresses_inside_a_text_are_redacted() -> None:
    text = "cannot open 'rtsp://a:hunter2@h/x', nor http://h/y?pw=hunter2 today"
    assert redact_text(text) == "cannot open 'rtsp://***@h/x', nor http://h/y?pw=*** today"
    assert redact_text("nothing to hide: a:b@c") == "nothing to hide: a:b@c"
