"""The preview's pages: plain HTML, one style, one script, nothing from outside."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>edgesdk preview</title>
<link rel="stylesheet" href="/preview.css">
"""

STYLE = """
:root { color-scheme: dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 0; background: #14171a; color: #e6e9ec; }
header { display: flex; justify-content: space-between; align-items: center; padding: .7rem 1rem; background: #1d2226; }
h1 { font-size: 1rem; margin: 0; font-weight: 600; }
main { display: grid; gap: 1rem; padding: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; background: #1d2226; border-radius: 8px; overflow: hidden; }
img { display: block; width: 100%; background: #000; min-height: 8rem; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1.2rem; padding: .5rem .8rem; }
figcaption b { flex: 1 1 8rem; }
figcaption span { color: #9fb0bd; font-variant-numeric: tabular-nums; }
form.enter { max-width: 20rem; margin: 18vh auto; padding: 1.5rem; background: #1d2226; border-radius: 8px; }
form.enter { display: grid; gap: .8rem; }
input, button { font: inherit; padding: .5rem .7rem; border-radius: 6px; border: 1px solid #46525c; }
input, button { background: #14171a; color: inherit; }
button { background: #2b6cb0; border-color: #2b6cb0; cursor: pointer; }
header button { background: none; border-color: #46525c; }
.wrong { color: #ffb199; margin: 0; }
"""

SCRIPT = """
async function refresh() {
  try {
    const answer = await fetch("/state", {cache: "no-store"});
    if (answer.status === 401) { location.reload(); return; }
    const state = await answer.json();
    for (const [name, camera] of Object.entries(state.cameras)) {
      const figure = document.getElementById("camera-" + name);
      if (!figure) continue;
      const say = (part, text) => { figure.querySelector(part).textContent = text; };
      const silent = camera.silent_s !== null && camera.silent_s > 3;
      say(".fps", camera.fps.toFixed(1) + " results/s");
      say(".age", camera.age_ms === null ? "no result yet" : "age " + camera.age_ms.toFixed(0) + " ms");
      say(".silent", silent ? "silent for " + camera.silent_s.toFixed(0) + " s" : "");
    }
  } catch (error) {
    for (const silent of document.querySelectorAll(".silent")) silent.textContent = "the agent does not answer";
  }
  setTimeout(refresh, 1000);
}
refresh();
"""


def enter_page(*, wrong: bool) -> bytes:
    """Return the page that asks for the token."""
    told = '<p class="wrong">That is not the token, or it was tried too often; wait a moment.</p>' if wrong else ""
    return f"""{_HEAD}<form class="enter" method="post" action="/enter">
<h1>edgesdk preview</h1>{told}
<label for="token">Token, as the agent printed it at its start</label>
<input id="token" name="token" type="password" autocomplete="off" required autofocus>
<button>Look</button>
</form></html>""".encode()


def live_page(cameras: Sequence[str]) -> bytes:
    """Return the page with a picture of each camera."""
    figures = "".join(
        f'<figure id="camera-{html.escape(name)}"><img src="/stream/{quote(name)}" alt="Live picture of {html.escape(name)}">'
        f'<figcaption><b>{html.escape(name)}</b><span class="fps"></span><span class="age"></span>'
        f'<span class="silent" role="status"></span></figcaption></figure>'
        for name in cameras
    )
    return f"""{_HEAD}<header><h1>edgesdk preview</h1><form method="post" action="/leave"><button>Leave</button></form></header>
<main>{figures}</main><script src="/preview.js"></script></html>""".encode()
