"""The dashboard in a real browser, over the real command, broker, collector and alerts: what a person does on a first day."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import ResultMessage
from edgesdk_testkit.browser import Browser
from edgesdk_testkit.commanded_device import CommandedDevice, utc
from edgesdk_testkit.fleet_service import PASSWORD
from edgesdk_testkit.http_receiver import HttpReceiver
from edgesdk_testkit.page_faults import axe_core, page_faults
from edgesdk_testkit.serve_process import Serve, until

pytestmark = [pytest.mark.system, pytest.mark.long]
HTML = "\"'><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(tmp_path_factory.mktemp("fleet") / "fleet.db", "--broker-port", "0") as running:
        yield running


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    return str(serve.told["url"]).rstrip("/")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, needs_program: Callable[[str, str], str]) -> Iterator[Browser]:
    with Browser(needs_program("chromium", "chromium"), tmp_path_factory.mktemp("browser")) as running:
        running.look(1440)
        yield running


@pytest.fixture(scope="module")
def device(serve: Serve) -> Iterator[CommandedDevice]:
    """Comes on the second test's wish."""
    with CommandedDevice(BrokerAddress.parse(serve.told["broker"]), "local.gate-1") as running:
        yield running


def fill(browser: Browser, **fields: str) -> None:
    """Write into the page's form as soon as it is there, and send it."""
    ready = " && ".join(f"document.querySelector('main [name={name}]')" for name in fields)
    browser.until(f"return document.readyState === 'complete' && ({ready}) !== null")
    for name, value in fields.items():
        browser.run(f"document.querySelector('main [name={name}]').value = {value!r}")
    browser.run("document.querySelector('main form:not(.row)').requestSubmit()")


def words(browser: Browser, *, of: str = "main") -> str:
    return str(browser.run(f"document.querySelector({of!r}).innerText"))


def test_a_person_sets_it_up_logs_out_and_in(browser: Browser, serve: Serve, url: str) -> None:
    axe = axe_core()
    browser.look(390, 844)
    browser.go(f"{url}/")
    browser.until("return location.pathname === '/setup' && document.readyState === 'complete'")
    assert page_faults(browser, 390, axe) == []
    fill(browser, code=serve.told["setup"].partition("code=")[2], name="admin", password=PASSWORD, again=PASSWORD)
    browser.until("return location.pathname === '/'")
    browser.until("return document.querySelector('main')?.innerText.includes('No device has reported yet')")
    browser.go(f"{url}/account")
    browser.until("document.querySelector('form[action=\"/logout\"]').requestSubmit(); return true")
    browser.until("return location.pathname === '/login' && document.readyState === 'complete'")
    assert page_faults(browser, 390, axe) == []
    browser.look(1440)
    fill(browser, name="admin", password="not this one")
    browser.until("return document.querySelector('.banner[role=alert]')?.innerText === 'Name or password is wrong.'")
    fill(browser, name="admin", password=PASSWORD)
    browser.until("return location.pathname === '/' && document.readyState === 'complete'")


def test_the_first_device_appears_by_itself(browser: Browser, device: CommandedDevice) -> None:
    browser.until("return document.querySelector('[data-live]')?.innerText === 'live'")
    device.telemetry(25.0)
    browser.until("return document.querySelectorAll('.map a').length === 1")
    browser.until("return document.querySelector('.tile.s-online b')?.innerText === '1'")


def test_an_alert_fires_and_clears_and_it_is_seen_that_a_device_goes_and_comes_back(
    browser: Browser, url: str, device: CommandedDevice
) -> None:
    browser.go(f"{url}/alerts/new-rule")
    fill(browser, name="away", limit="0.01", clear_for_s="0", severity="critical")
    browser.until("return document.querySelector('main h2')?.innerText.startsWith('Offline for 0.01 minutes')")
    browser.go(f"{url}/devices/local.gate-1")
    browser.until("return document.querySelector('.state.big')?.innerText === 'Online'")
    # What is said before the page listens would be seen at its next look only.
    browser.until("return document.querySelector('[data-live]')?.innerText === 'live'")
    device.state("offline")
    browser.until("return document.querySelector('.state.big')?.innerText === 'Offline'")
    browser.until("return document.querySelector('#device-head .banner')?.innerText.includes('Offline')")
    browser.go(f"{url}/alerts?state=firing")
    browser.until("return document.querySelector('.alert h2')?.innerText.startsWith('away: offline for')")
    browser.until("return document.querySelector('[data-firing]')?.innerText === '1'")
    device.state("online")
    browser.until("return document.querySelector('main')?.innerText.includes('Nothing is firing')")
    browser.go(f"{url}/devices/local.gate-1")
    browser.until("return document.querySelector('.state.big')?.innerText === 'Online'")


def test_a_command_is_sent_and_its_reply_is_seen(browser: Browser, url: str, device: CommandedDevice) -> None:
    browser.go(f"{url}/devices/local.gate-1")
    browser.run("document.querySelector('[data-command] [value=birth]').click()")
    browser.until("return document.querySelector('[data-command] output')?.innerText === 'birth: done'")
    browser.until("return document.querySelector('#commands').innerText.includes('as you say')")
    assert [command.verb for command in device.commands] == ["birth"]


def test_results_are_seen_as_they_come_with_their_boxes(browser: Browser, device: CommandedDevice) -> None:
    browser.until("return document.querySelector('[data-follow-state]').innerText !== 'waiting for the device'")

    # What is said before the service listens is the collector's alone.
    def shown() -> bool:
        device.result(HTML)
        return bool(browser.run("document.querySelector('[data-results]').innerText.includes('onerror')"))

    until(shown)
    objects = [{"box": [10, 20, 110, 220], "label": HTML[:20], "score": 0.9}]
    answer = {"kind": "detections", "objects": objects}
    for frame in range(3):
        seq = 100 + frame
        device.say(ResultMessage(node=device.node, at=utc(), epoch="e2", seq=seq, camera="door", frame=frame,
                                 captured_at=utc(), age_ms=3, result=answer))  # fmt: skip
        browser.run("new Promise(done => setTimeout(done, 200))")
    box = browser.until(
        "const b = document.querySelector('.stage rect'); return b && [b.getAttribute('x'), b.getAttribute('height')]"
    )
    assert box == ["10", "200"]
    assert browser.run("document.querySelector('.stage').getClientRects().length") == 1
    assert browser.run("document.title") != "owned"


def test_a_command_for_all_of_a_tag(browser: Browser, url: str, device: CommandedDevice) -> None:
    browser.go(f"{url}/devices/local.gate-1")
    browser.run(
        "document.querySelector('main details').open = true; document.querySelector('[name=tags]').value = 'door'"
    )
    browser.run("document.querySelector('form[action$=describe]').requestSubmit()")
    browser.until("return document.querySelector('.head .tag')?.innerText === 'door'")
    browser.go(f"{url}/devices?tag=door")
    sent = len(device.commands)
    browser.run("""const form = document.querySelector('[data-bulk]'); form.closest('details').open = true;
        form.querySelector('[name=sure]').checked = true; document.querySelector('#device-rows').dataset.before = 1""")
    device.state("offline")
    device.state("online")
    browser.until("return document.querySelector('#device-rows').dataset.before === undefined")
    # The list is fresh, and the form as it was left.
    assert browser.run("document.querySelector('[name=sure]').checked")
    browser.run("document.querySelector('[data-bulk]').requestSubmit()")
    browser.until("return document.querySelector('[data-bulk] output').innerText.startsWith('Sent to 1 devices.')")
    browser.run("document.querySelector('[data-bulk] output a').click()")
    browser.until("return document.querySelector('.found')?.innerText.includes('local.gate-1')")
    until(lambda: len(device.commands) == sent + 1)


def test_a_channel_is_added_tried_and_never_shows_its_secret(browser: Browser, url: str) -> None:
    with HttpReceiver() as receiver:
        browser.go(f"{url}/alerts/channels")
        browser.until("document.querySelector('a[href$=\"kind=webhook\"]').click(); return true")
        where = f"http://127.0.0.1:{receiver.port}/services/letmein"
        fill(browser, name="ops", url=where, secret="hush-hush-0815", allow="127.0.0.0/8")
        browser.until("return document.querySelector('.alert h2')?.innerText.startsWith('ops')")
        browser.run("document.querySelector('form[action$=\"/ops/test\"]').requestSubmit()")
        browser.until("return document.querySelector('.banner.good')?.innerText.startsWith('ops took the trial.')")
        assert [json.loads(body)["trial"] for _, body in receiver.got] == [True]
    browser.run("document.querySelector('form[action$=\"/ops/test\"]').requestSubmit()")
    browser.until("return document.querySelector('.banner.bad')?.innerText.startsWith('ops did not take the trial.')")
    for page in ("/alerts/channels", "/alerts/channels/ops", "/audit"):
        browser.go(url + page)
        said = browser.until("return document.readyState === 'complete' && document.documentElement.outerHTML")
        assert "ops" in said
        assert "hush-hush" not in said
        assert "letmein" not in said


def test_a_template_is_written_and_what_is_wrong_with_it_is_said(browser: Browser, url: str) -> None:
    browser.go(f"{url}/new-template")
    fill(browser, name="shop", text="bundle: [")
    browser.until("return document.querySelector('.banner[role=alert]')?.innerText.includes('not valid YAML')")
    fill(browser, text="bundle: counter")
    browser.until("return location.pathname === '/templates/shop'")
    browser.until("return document.querySelector('main pre')?.innerText.trim() === 'bundle: counter'")
    assert "No device follows it yet" in words(browser)
    browser.run("document.querySelector('a[href$=\"/override\"]').click()")
    fill(browser, where="berlin", text="device: {name: a}")
    browser.until("return document.querySelector('.banner[role=alert]')?.innerText.includes('cannot say device')")
    fill(browser, text="bundle: other")
    browser.until("return document.querySelector('main .stack')?.innerText.includes('At the site berlin')")
    browser.run("document.querySelector('a[href*=\"where=berlin\"]').click()")
    browser.until("return document.querySelector('form[action$=\"/override/delete\"]') !== null")
    browser.run("document.querySelector('form[action$=\"/override/delete\"] [type=checkbox]').click()")
    browser.run("document.querySelector('form[action$=\"/override/delete\"]').requestSubmit()")
    browser.until("return document.querySelector('main')?.innerText.includes('Nothing differs at a site')")


def test_no_request_left_this_machine_and_no_script_complained(browser: Browser, url: str) -> None:
    """Over everything that was done above."""
    asked = [one for one in browser.requests if not one.startswith(("data:", "blob:", "about:"))]
    assert len(asked) > 50
    assert {one for one in asked if not one.startswith(f"{url}/")} == set()
    # That a password or a template was wrong is an answer of 4xx, which browsers write down.
    wrong = (f"{url}/login", f"{url}/templates", f"{url}/templates/shop/override")
    assert [line for line in browser.console if not line.endswith(wrong)] == []


def test_it_is_seen_that_the_service_is_gone(browser: Browser, serve: Serve) -> None:
    """Last."""
    assert serve.finish(signal.SIGINT) in (0, 130)
    browser.until("return document.querySelector('[data-live]').innerText === 'no connection, trying again'")
