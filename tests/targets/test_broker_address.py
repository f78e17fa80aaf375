from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.errors import InputError
from edgesdk_testkit.certificates import make_certificates


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "username", "password"),
    [
        ("mqtt://box", "box", 1883, False, "", None),
        ("mqtt://box:99/", "box", 99, False, "", None),
        ("mqtts://box", "box", 8883, True, "", None),
        ("MQTTS://Box:1", "box", 1, True, "", None),
        ("mqtt://me@box", "box", 1883, False, "me", None),
        ("mqtt://me:p%40s%2Fs@box", "box", 1883, False, "me", "p@s/s"),
        ("mqtt://me:p@ss@box", "box", 1883, False, "me", "p@ss"),
        ("mqtt://[::1]:7", "::1", 7, False, "", None),
        (" mqtt://box\n", "box", 1883, False, "", None),
    ],
)
def test_urls_are_read(url: str, host: str, port: int, tls: bool, username: str, password: str | None) -> None:
    address = BrokerAddress.parse(url)
    assert (address.host, address.port, address.tls, address.username) == (host, port, tls, username)
    assert (address.password and address.password.get_secret_value()) == password
    assert BrokerAddress.parse(str(address)).host == host


@pytest.mark.parametrize(
    "url",
    [
        *("", "box", "box:1883", "http://box", "mqtt://", "mqtt://:1883", "mqtt://box:0", "mqtt://box:99999"),
        *("mqtt://box:x", "mqtt://box/topic", "mqtt://box?x=1", "mqtt://box#f", "mqtt://[::1", "tcp://box"),
    ],
)
def test_another_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InputError) as wrong:
        BrokerAddress.parse(url)
    assert "mqtt://" in wrong.value.hint


@pytest.mark.parametrize(
    "url",
    [
        *("me:hunter2@box:1883", "http://me:hunter2@box", "mqtt://me:hunter2/x@box", "mqtt://me:hunter2#x@box:1883"),
        *(
            "mqtt://me:hunter2?@box",
            "mqtt://me:hunter2@box:port",
            "mqtt://me:hunter2@box/path",
            "mqtt://a:b@hunter2@:1",
        ),
    ],
)
def test_no_error_repeats_a_password(url: str) -> None:
    with pytest.raises(InputError) as wrong:
        BrokerAddress.parse(url)
    assert "hunter2" not in str(wrong.value)


def test_no_text_of_an_address_holds_the_password() -> None:
    address = BrokerAddress.parse("mqtt://me:hunter2@box")
    assert "hunter2" not in f"{address} {address!r}"
    assert str(address) == "mqtt://box:1883"


def test_a_login_given_apart_wins() -> None:
    address = BrokerAddress.parse("mqtt://me:old@box").with_login("", SecretStr("new"))
    assert address.username == "me"
    assert address.password == SecretStr("new")
    assert BrokerAddress.parse("mqtt://me:old@box").with_login("you", None).username == "you"


def test_tls_checks_certificate_and_host_unless_told_not_to(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    safe = tls_context(ca=files.ca, cert=files.client, key=files.client_key)
    assert safe.check_hostname
    assert safe.verify_mode is ssl.CERT_REQUIRED
    unsafe = tls_context(insecure=True)
    assert not unsafe.check_hostname
    assert unsafe.verify_mode is ssl.CERT_NONE


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("hello")
    missing = tmp_path / "none.pem"
    with pytest.raises(InputError, match=r"ca: .*none\.pem cannot be read"):
        tls_context(ca=missing)
    with pytest.raises(InputError, match=r"text\.pem holds no certificate"):
        tls_context(ca=text)
    with pytest.raises(InputError, match="not a certificate and its unencrypted key"):
        tls_context(cert=files.client, key=files.server_key)
    with pytest.raises(InputError, match="not a certificate and its unencrypted key"):
        tls_context(cert=text)
    with pytest.raises(InputError, match="without its certificate"):
        tls_context(key=files.client_key)


def test_an_encrypted_key_is_refused_without_a_question(tmp_path: Path) -> None:
    import subprocess

    files = make_certificates(tmp_path)
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", str(files.client_key), "-aes256", "-passout", "pass:abc", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(InputError, match="unencrypted"):
        tls_context(cert=files.client, key=locked)
