from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from edgesdk_targets.secret_url import SecretUrl, redact, redact_text


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
    source = SecretUrl(url)
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


def test_passwords_that_are_assigned_in_a_text_are_redacted() -> None:
    pipeline = "gst:rtspsrc location=rtsp://h/x user-id=admin user-pw=hunter2 ! fakesink"
    assert redact_text(pipeline) == "gst:rtspsrc location=rtsp://h/x user-id=admin user-pw=*** ! fakesink"
    assert str(SecretUrl(pipeline)) == redact_text(pipeline)
    assert redact_text("Password: 'hunter 2', done") == "Password: ***, done"
    assert redact_text("the password is wrong") == "the password is wrong"


class TestSecretUrl:
    url = SecretUrl("rtsp://admin:hun%40ter2@cam/live?channel=1")

    def test_no_way_to_print_it_shows_the_password(self) -> None:
        shown = [str(self.url), repr(self.url), f"{self.url}", f"{self.url:>60}", f"{self.url!s}", f"{[self.url]}"]
        assert all("hun" not in text and "***@cam/live?channel=1" in text for text in shown)

    def test_its_secrets_are_the_password_as_written_and_as_meant(self) -> None:
        assert self.url.secrets == ("hun%40ter2", "hun@ter2")
        assert self.url.holds_secret
        assert SecretUrl("rtsp://admin@cam/live").secrets == ()
        assert SecretUrl("rtsp://cam/live").secrets == SecretUrl("0").secrets == SecretUrl("a:b@c").secrets == ()
        assert not SecretUrl("rtsp://cam/live").holds_secret

    def test_it_is_not_written_by_the_way(self) -> None:
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(self.url)

    def test_the_same_address_is_equal(self) -> None:
        assert self.url == SecretUrl(self.url.reveal())
        assert self.url != SecretUrl("rtsp://admin:other@cam/live?channel=1")
        assert len({self.url, SecretUrl(self.url.reveal())}) == 1

    def test_a_model_holds_it(self) -> None:
        class Model(BaseModel):
            source: SecretUrl

        model = Model.model_validate({"source": self.url.reveal()})
        assert model.source == self.url
        assert Model(source=self.url).source is self.url
        assert "hun" not in f"{model!r}{model.model_dump()}{model.model_dump_json()}"
        assert Model.model_validate_json('{"source": "0"}').source.reveal() == "0"
        with pytest.raises(ValidationError):
            Model.model_validate({"source": 3})
