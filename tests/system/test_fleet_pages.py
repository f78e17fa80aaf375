"""Every page in a real browser, on a fleet of 1,000: phone and desktop, light and dark, axe-core, filters, all states.

Pictures of every page are kept in the test's folder, and in EDGESDK_ARTIFACTS where that is set.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update

from edgesdk.fleet.dashboard.words import STATES
from edgesdk.fleet.service.parts import Joining
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.tables import events, nodes, now
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.browser import Browser
from edgesdk_testkit.fleet_seed import seed
from edgesdk_testkit.fleet_service import PASSWORD, FleetService
from edgesdk_testkit.fleet_settings import seed_settings
from edgesdk_testkit.page_faults import axe_core, page_faults, serious_of_axe

pytestmark = [pytest.mark.system, pytest.mark.long]
DEVICES = 1000
HTML = "\"'><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
SEEN_MOST = ("/", "/devices", "/devices/local.cam-0000", "/alerts")
PAGES = (
    *SEEN_MOST, "/devices/local.cam-0004", "/alerts/rules", "/alerts/rules/too-warm", "/alerts/new-rule", "/alerts/silences",
    "/alerts/silences/1", "/alerts/channels", "/alerts/channels/mail", "/alerts/new-channel?kind=webhook", "/search",
    "/search?what=events", "/search?what=pictures", "/search?what=unreadable", "/rollouts", "/enrolment", "/templates",
    "/templates/shop", "/templates/shop/change", "/templates/shop/override",
    "/templates/shop/override?scope=site&where=Mill%20Lane", "/new-template", "/people", "/audit", "/account",
    "/devices/local.nobody",
)  # fmt: skip
# Looked at in the same way where there is something on them: a roll-out, and a service that nobody is logged in to.
ELSEWHERE = {
    "/rollouts/new": "test_rollout_pages.py", "/rollouts/{name}": "test_rollout_pages.py",
    "/login": "test_fleet_dashboard.py", "/setup": "test_fleet_dashboard.py",
}  # fmt: skip
NO_PAGES = ("/api/", "/static/", "/metrics", "/healthz")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    # A broker that is not there: the pages say so, and go on.
    made = FleetService(tmp_path_factory.mktemp("fleet"), broker=BrokerAddress.parse("mqtt://127.0.0.1:1"))
    seed(made.engine, DEVICES, minutes=4, media=made.media)
    made.add_user("admin")
    made.parts.joining = Joining("https://fleet.example.org:8443", "cGlu", "ab" * 32)
    seed_settings(made.engine)
    with made:
        yield made


@pytest.fixture(scope="module")
def browser(
    tmp_path_factory: pytest.TempPathFactory, needs_program: Callable[[str, str], str], service: FleetService
) -> Iterator[Browser]:
    with Browser(needs_program("chromium", "chromium"), tmp_path_factory.mktemp("browser")) as running:
        running.look(1440)
        running.go(f"{service.url}/login")
        running.run(f"""document.querySelector('[name=name]').value = 'admin';
            document.querySelector('[name=password]').value = '{PASSWORD}'; document.forms[0].requestSubmit()""")
        running.until("return location.pathname === '/'")
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_core()


def test_a_filter_changes_the_list_and_the_address(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/devices")
    assert f"{DEVICES} devices" in browser.run("document.querySelector('#device-table').innerText")
    assert browser.run("document.querySelectorAll('.devices tbody tr').length") == 50
    browser.run("""const box = document.querySelector('[name=text]'); box.value = 'cam-0017';
        box.dispatchEvent(new Event('input', {bubbles: true}))""")
    browser.until("return document.querySelectorAll('.devices tbody tr').length === 1")
    browser.until("return location.search.includes('text=cam-0017')")
    browser.run("""document.querySelector('[name=text]').value = '';
        const tag = document.querySelector('[name=tag]'); tag.value = 'indoor';
        tag.dispatchEvent(new Event('change', {bubbles: true}))""")
    browser.until("return document.querySelector('#device-table').innerText.startsWith('500 devices')")
    before = browser.run("document.querySelector('.devices a').innerText")
    browser.run("document.querySelector('.pager a').click()")
    browser.until(f"return document.querySelector('.devices a')?.innerText !== {before!r}")


def test_every_state_is_shown_and_said(browser: Browser, service: FleetService) -> None:
    for state, name in STATES.items():
        browser.go(f"{service.url}/devices?state={state}")
        shown = set(browser.run("[...document.querySelectorAll('.devices .state')].map(one => one.innerText)"))
        assert shown == {name}
        browser.run("document.querySelector('.devices tbody a').click()")
        browser.until(f"return document.querySelector('.state.big')?.innerText === '{name}'")
        told = browser.run("document.querySelector('#device-head .banner')?.innerText || ''")
        assert (name in told) or state == "online", told


def test_what_is_old_or_not_recorded_is_said(browser: Browser, service: FleetService) -> None:
    with writing(service.engine) as connection:
        connection.execute(update(now).where(now.c.node == 2).values(heard_ms=int(time.time() * 1000) - 45_000))
    browser.go(f"{service.url}/devices/local.cam-0001")
    assert "These figures are old." in browser.run("document.querySelector('#device-head .banner').innerText")
    # It comes and goes while the page is open, and is there for who comes meanwhile.
    service.parts.collecting["problem"] = "The disk is full."
    shown = "document.querySelector('[data-unrecorded]:not([hidden])')?.innerText"
    browser.until(f"return {shown}?.startsWith('Nothing is being recorded. The disk is full.')")
    browser.go(f"{service.url}/")
    browser.until(f"return {shown}?.startsWith('Nothing is being recorded. The disk is full.')")
    service.parts.collecting.clear()
    browser.until(f"return {shown} === undefined")


def test_charts_are_drawn_and_pictures_are_shown(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/devices/local.cam-0000")
    browser.until("return document.querySelectorAll('.chart canvas').length >= 8")
    titles = browser.run("[...document.querySelectorAll('.chart figcaption')].map(one => one.firstChild.textContent)")
    assert {"Latency by stage, p95", "Dropped by cause", "Clock offset", "Memory", "Temperature"} <= set(titles)
    assert browser.until("return document.querySelector('.picture img').naturalWidth") == 640
    about = browser.run("document.querySelector('.about').innerText")
    assert "synchronised (NTP)" in about
    assert "against this service" in about
    browser.run("document.querySelector('button[data-span=\"604800\"]').click()")
    browser.until("return document.querySelectorAll('.chart.waiting').length === 0")


def test_a_page_has_one_live_connection_and_a_hidden_one_none(browser: Browser, service: FleetService) -> None:
    """A browser has six for a whole service: with two a page, the fourth tab would not even load."""
    browser.go(f"{service.url}/devices/local.cam-0000")
    browser.until("return document.querySelector('[data-live]').innerText === 'live'")
    browser.until("return document.querySelector('[data-follow-state]').innerText !== 'waiting for the device'")
    opened = service.parts.listeners

    def until(count: int) -> None:
        end = time.monotonic() + 20
        while sum(opened._open.values()) != count:
            assert time.monotonic() < end, opened._open
            browser.run("1")

    until(1)
    for hidden, count in (("true", 0), ("false", 1)):
        browser.run(f"""Object.defineProperty(document, 'hidden', {{get: () => {hidden}, configurable: true}});
            document.dispatchEvent(new Event('visibilitychange'))""")
        until(count)


def test_hostile_words_do_nothing(browser: Browser, service: FleetService) -> None:
    with writing(service.engine) as connection:
        connection.execute(update(nodes).where(nodes.c.id == 6).values(title=HTML, site=HTML, bundle_version=HTML))
        connection.execute(update(now).where(now.c.node == 6).values(last_result=HTML, reason=HTML, said="offline"))
        connection.execute(update(events).values(message=HTML))
    for path in ("/", "/devices", "/devices/local.cam-0005", "/search?what=events"):
        browser.go(service.url + path)
        browser.until("return document.readyState === 'complete'")
        assert browser.run("document.title") != "owned"
        assert "onerror=document" in browser.run("document.querySelector('main').innerText")
    with writing(service.engine) as connection:
        connection.execute(
            update(nodes).where(nodes.c.id == 6).values(title="", site="Station", bundle_version="1.0.0")
        )


@pytest.mark.parametrize(
    ("width", "dark", "pages"),
    [(390, False, PAGES), (1280, True, PAGES), (390, True, SEEN_MOST), (1280, False, SEEN_MOST)],
)
def test_every_page_fits_can_be_read_and_has_names(
    browser: Browser, service: FleetService, tmp_path: Path, axe: str, width: int, dark: bool, pages: tuple[str, ...]
) -> None:
    folder = Path(os.environ.get("EDGESDK_ARTIFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    browser.look(width, 844 if width < 600 else 900, dark=dark)
    for path in pages:
        browser.go(service.url + path)
        browser.until("return document.querySelectorAll('.chart.waiting').length === 0")
        name = path.strip("/").translate(str.maketrans("/?=", "---")) or "overview"
        shot = browser.picture(folder / f"fleet-{name}-{width}-{'dark' if dark else 'light'}.png")
        assert shot.stat().st_size > 10_000
        assert page_faults(browser, width, axe if pages is PAGES else "!") == [], path
    browser.look(1440)


def test_no_page_is_left_out(service: FleetService) -> None:
    """Over the routes themselves: a page that is new is looked at here, or this says that it is not."""
    shown = {path.partition("?")[0] for path in PAGES}
    left_out = set()
    for route in service.app.routes:
        if not isinstance(route, APIRoute) or "GET" not in route.methods or route.path.startswith(NO_PAGES):
            continue
        one = re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path))
        if not any(one.fullmatch(path) for path in shown):
            left_out.add(route.path)
    assert left_out == set(ELSEWHERE)


def test_axe_finds_what_is_wrong(browser: Browser, service: FleetService, axe: str) -> None:
    """Negative control; and where axe-core cannot be had, this is where it is said."""
    if axe.startswith("!"):
        pytest.skip(axe[1:])
    browser.go(f"{service.url}/account")
    browser.run(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/none.png\"><input>')"
    )
    assert {line.partition(":")[0] for line in serious_of_axe(browser, axe)} >= {"image-alt", "label"}


def test_the_keyboard_reaches_the_content(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/devices")
    press(browser, "Tab", 9)
    browser.until("return document.activeElement.className === 'skip'")


def test_the_keyboard_need_not_go_through_every_square(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/")
    browser.run("document.getElementById('skip-map').focus()")
    assert browser.run("document.activeElement.getBoundingClientRect().left") > 0, "who has it sees it"
    press(browser, "Enter", 13)
    browser.until("return location.hash === '#after-map'")
    press(browser, "Tab", 9)
    browser.until("return document.activeElement.id === 'all-alerts'")


def press(browser: Browser, key: str, code: int) -> None:
    text = {"text": "\r"} if key == "Enter" else {}
    browser.tell("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
    browser.tell("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)


@pytest.mark.parametrize(
    ("page", "place"),
    [("/", "at-local.cam-0017"), ("/", "skip-map"), ("/devices", "to-local.cam-0003"), ("/devices", "next-page")],
)
def test_who_goes_by_keyboard_stays_where_they_are_when_a_page_refreshes(
    browser: Browser, service: FleetService, page: str, place: str
) -> None:
    browser.go(f"{service.url}{page}")
    browser.run(f"document.getElementById('{place}').focus(); document.activeElement.dataset.before = 1")
    browser.run("document.body.dispatchEvent(new CustomEvent('fleet-changed', {bubbles: true}))")
    browser.until(f"return document.getElementById('{place}').dataset.before === undefined")
    browser.until(f"return document.activeElement.id === '{place}'")


def test_a_push_is_confirmed_and_what_keeps_it_is_said(browser: Browser, service: FleetService) -> None:
    browser.go(f"{service.url}/templates/shop")
    page = browser.run("document.querySelector('main').innerText")
    assert "2 differ" in page
    assert "it is configured otherwise than the template wants it" in page
    assert "At the site Mill Lane" in page
    assert not browser.run("document.querySelector('form.push').checkValidity()"), (
        "first somebody says that they mean it"
    )
    browser.run("document.querySelector('form.push [name=sure]').checked = true")
    browser.run("document.querySelector('form.push').requestSubmit()")
    browser.until("return document.querySelector('.banner[role=alert]')?.innerText.includes('mqtt://127.0.0.1:1')")


def test_no_request_left_this_machine_and_no_script_complained(browser: Browser, service: FleetService) -> None:
    """Last: over everything that was done above."""
    asked = [url for url in browser.requests if not url.startswith(("data:", "blob:", "about:"))]
    assert len(asked) > 100
    assert {url for url in asked if not url.startswith(service.url + "/")} == set()
    # What was asked for on purpose and is not there: a device, the picture of axe's negative control, a broker.
    meant = ("local.nobody", "none.png", "shop/push")
    assert [line for line in browser.console if not any(word in line for word in meant)] == []


def test_the_scripts_are_small() -> None:
    from edgesdk.fleet.dashboard.static_files import static_files

    scripts = {name: len(file.content) for name, file in static_files().items() if name.endswith(".js")}
    assert {"vendor/htmx.min.js", "vendor/uplot.min.js"} <= set(scripts)
    assert sum(scripts.values()) <= 120_000, scripts
    assert {"vendor/htmx.LICENSE.txt", "vendor/uplot.LICENSE.txt"} <= set(static_files())
