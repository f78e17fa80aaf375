"""Roll-outs in a real browser: who is meant is seen first, then waves, why it halted, and one click back; and a device revoked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.taking_back import TakingBack
from edgesdk.fleet.rollout.model import Rollout, Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.browser import Browser
from edgesdk_testkit.fleet_service import PASSWORD, FleetService
from edgesdk_testkit.page_faults import axe_core, page_faults
from edgesdk_testkit.rollout_store import OneBundle, StoredWorld, stored_world
from edgesdk_testkit.rollout_world import OLD, Way

pytestmark = [pytest.mark.system, pytest.mark.long]
HOLD = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, on_breach="hold")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredWorld]:
    """A fleet whose devices are simulated, an hour ago: its time goes on as the test wishes, up to now."""
    folder = tmp_path_factory.mktemp("world")
    with stored_world([Way.GOOD] * 40, folder / "fleet.db", folder, at=time.time() - 200) as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, stored: StoredWorld) -> Iterator[FleetService]:
    folder = tmp_path_factory.mktemp("fleet")
    made = FleetService(folder, broker=BrokerAddress.parse("mqtt://127.0.0.1:1"), db=str(stored.engine.url.database))
    made.parts.shelf, made.parts.bundle_server = OneBundle(folder), "https://fleet.example"
    made.parts.taking_back = TakingBack(Authority.create(folder / "authority"), (folder / "crl.pem",))
    made.add_user("admin")
    with made:
        yield made


@pytest.fixture(scope="module")
def browser(
    tmp_path_factory: pytest.TempPathFactory, needs_program: Callable[[str, str], str], service: FleetService
) -> Iterator[Browser]:
    with Browser(needs_program("chromium", "chromium"), tmp_path_factory.mktemp("browser")) as running:
        running.look(390, 844)
        running.go(f"{service.url}/login")
        running.run(f"""document.querySelector('[name=name]').value = 'admin';
            document.querySelector('[name=password]').value = '{PASSWORD}'; document.forms[0].requestSubmit()""")
        running.until("return location.pathname === '/'")
        yield running


def press(browser: Browser, selector: str) -> None:
    """Press a button, and wait until another page is there."""
    browser.until(f"return document.readyState === 'complete' && document.querySelector({selector!r}) !== null")
    browser.run("window.before = true")
    browser.run(f"document.querySelector({selector!r}).click()")
    browser.until("return !window.before && document.readyState === 'complete'")


def shows(browser: Browser, words: str) -> None:
    """Wait until the page says something, of itself."""
    browser.until(f"return document.querySelector('main').innerText.includes({words!r})")


def faults(browser: Browser, picture: Path) -> list[str]:
    """Return what is wrong with the page on a phone.

    Args:
        picture: is kept of it, in EDGESDK_ARTIFACTS where that is set.
    """
    browser.picture(Path(os.environ.get("EDGESDK_ARTIFACTS") or picture.parent) / picture.name)
    return page_faults(browser, 390, axe_core())


def test_from_the_bundle_to_the_way_back(
    browser: Browser, service: FleetService, stored: StoredWorld, tmp_path: Path
) -> None:
    browser.go(f"{service.url}/rollouts")
    page = browser.run("document.querySelector('main').innerText")
    assert "m 2.0.0" in page
    assert "signed by ab12" in page
    assert "rpi5 onnx int8" in page
    assert faults(browser, tmp_path / "rollouts-390.png") == []

    # First it is seen whom it means; nothing has begun.
    press(browser, "form[action='/rollouts/new'] button")
    shows(browser, "To 40 devices")
    shows(browser, "In waves of 1, 3, 16, 20")
    assert faults(browser, tmp_path / "rollout-new-390.png") == []
    with service.logged_in("admin") as admin:
        assert admin.get("/api/v1/rollouts").json() == {"rollouts": []}

    press(browser, "form[action='/rollouts'] button")
    key = browser.run("location.pathname").rpartition("/")[2]
    assert key == "m-2.0.0-1"
    shows(browser, "0 of 1 confirmed")

    # The page goes on by itself.
    stored.run(key, until=lambda now: now.wave == 1)
    shows(browser, "1 of 1 confirmed")
    assert faults(browser, tmp_path / "rollout-wave-390.png") == []

    def of_this_wave(now: Rollout) -> list[str]:
        return [one.node for one in now.devices.values() if one.wave == 1]

    for name in of_this_wave(stored.rollout(key)):
        stored.world.models[name].way = Way.WORSE
    stored.run(key, until=lambda now: now.status is Status.ROLLED_BACK)
    shows(browser, "rolled back")
    shows(browser, "failed in wave 2")
    shows(browser, "frames a second")
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    assert browser.run("document.querySelector('#rollout-live').hasAttribute('hx-get')") is False, "it rests"


def test_a_reason_and_one_click_back(
    browser: Browser, service: FleetService, stored: StoredWorld, tmp_path: Path
) -> None:
    for model in stored.world.models.values():
        model.way, model.word = Way.GOOD, None
    key = stored.begin(HOLD)
    browser.go(f"{service.url}/rollouts/{key}")
    canary = next(one.node for one in stored.rollout(key).devices.values() if one.wave == 0)
    stored.world.models[canary].way = Way.WORSE
    stored.run(key, until=lambda now: now.status is Status.HALTED)
    shows(browser, "halted")
    # Without a reason the browser sends nothing.
    browser.until("return document.querySelector('[name=why]') !== null")
    assert faults(browser, tmp_path / "rollout-halted-390.png") == []
    assert not browser.run("document.querySelector('[name=why]').form.checkValidity()")
    browser.run("document.querySelector('[name=why]').value = 'its lamp is out'")
    press(browser, "#do-resume")
    stored.run(key, until=lambda now: now.wave == 1)
    shows(browser, "its lamp is out")
    shows(browser, "counts no more")
    press(browser, "#do-rollback")
    stored.run(key, until=lambda now: now.status.ended)
    shows(browser, "rolled back")
    assert Step.CONFIRMED not in {one.step for one in stored.rollout(key).devices.values()}


def test_what_was_looked_at_is_what_begins(browser: Browser, service: FleetService) -> None:
    with service.logged_in("admin") as admin:
        digest = admin.get("/api/v1/bundles").json()["bundles"][0]["digest"]
        unseen = admin.post("/rollouts", data={"digest": digest, "site": ""})
        assert (unseen.status_code, "was not looked at" in unseen.text) == (409, True)
        another = admin.post("/rollouts", data={"digest": digest, "site": "", "expect": "39"})
        assert (another.status_code, "means 40 devices by now, not 39" in another.text) == (409, True)
        service.parts.bundle_server = ""
        closed = admin.get(f"/rollouts/new?digest={digest}")
        assert (closed.status_code, "--device-server" in closed.text) == (503, True)
        begun = admin.post("/api/v1/rollouts", json={"digest": digest})
        assert (begun.status_code, "--device-server" in begun.text) == (503, True)
        service.parts.bundle_server = "https://fleet.example"


def test_a_device_is_revoked_on_its_page(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/devices/t.d0003")
    browser.run("document.querySelector('form[action$=\"/revoke\"]').closest('details').open = true")
    form = "document.querySelector('form[action$=\"/revoke\"]')"
    assert not browser.run(f"{form}.checkValidity()"), "first somebody says that they mean it"
    browser.run(f"{form}.querySelector('[name=reason]').value = 'stolen'; {form}.querySelector('[name=sure]').click()")
    press(browser, "form[action$='/revoke'] button")
    shows(browser, "Revoked.")
    assert browser.run("document.querySelector('form[action$=\"/revoke\"]')") is None


def test_no_script_complained(browser: Browser, service: FleetService) -> None:
    """Last: over everything that was done above."""
    assert [url for url in browser.requests if not url.startswith((service.url + "/", "data:", "about:"))] == []
    assert browser.console == []
