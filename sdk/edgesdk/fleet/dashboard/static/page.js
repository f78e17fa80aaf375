// What every page does: hears that the fleet changed, keeps times fresh, sends forms that speak to the API.
(function () {
  "use strict";
  var body = document.body;
  function tell(name, detail) { body.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: detail })); }

  // At most one refresh in two seconds, of a large fleet fewer, however much happens; none while nobody looks.
  var due = 0, last = 0, pace = 2000;
  function refresh() {
    if (document.hidden || due) return;
    due = setTimeout(function () { due = 0; last = Date.now(); tell("fleet-changed"); }, Math.max(0, last + pace - Date.now()));
  }
  var sign = document.querySelector("[data-live]"), loss = document.querySelector("[data-unrecorded]"), alert = null;
  function say(on, words) {
    if (sign) { sign.className = "live " + (on ? "on" : "off"); sign.lastElementChild.textContent = words; }
  }
  // One connection for all that a page hears, and none while nobody looks: a browser has six for a whole service.
  var followed = document.querySelector("[data-follow='yes']"), feed = null, again = 0;
  function listen() {
    if (feed || document.hidden || !sign || !window.EventSource) return;
    clearTimeout(again);
    feed = new EventSource("/api/v1/live" + (followed ? "?node=" + encodeURIComponent(followed.dataset.node) : ""));
    feed.addEventListener("fleet", function (event) {
      var now = JSON.parse(event.data);
      say(!now.problem, now.problem ? "the store is away" : "live");
      document.querySelectorAll("[data-firing]").forEach(function (mark) { mark.hidden = !now.alerts_firing; mark.textContent = now.alerts_firing; });
      loss.hidden = !now.unrecorded; loss.children[1].textContent = now.unrecorded;
      if (alert !== now.alert) tell("alert-changed");
      alert = now.alert; pace = Math.max(2000, 2 * now.devices);
      // The first device of all: the page without any makes room for the one with.
      if (now.devices && document.querySelector("[data-waiting]")) return location.reload();
      refresh();
    });
    feed.addEventListener("said", function (event) { tell("device-said", JSON.parse(event.data)); });
    feed.onopen = function () { say(true, "live"); tell("live-on"); };
    feed.onerror = function () {
      say(false, "no connection, trying again"); tell("live-off");
      // Refused: the browser tries no more.
      if (feed.readyState === 2) { leave(); again = setTimeout(listen, 15000); }
    };
  }
  function leave() { if (feed) feed.close(); feed = null; clearTimeout(again); }
  listen();
  document.addEventListener("visibilitychange", function () { if (document.hidden) return leave(); listen(); refresh(); });

  function ago(then) {
    var s = (Date.now() - then) / 1000;
    if (s < 5) return "now";
    if (s < 60) return Math.round(s) + " s ago";
    if (s < 3600) return Math.round(s / 60) + " min ago";
    return s < 86400 ? Math.round(s / 3600) + " h ago" : Math.round(s / 86400) + " d ago";
  }
  function times() {
    document.querySelectorAll("time[datetime]").forEach(function (one) {
      var then = Date.parse(one.dateTime);
      if (isNaN(then)) return;
      if (one.dataset.clock !== undefined) one.textContent = new Date(then).toLocaleString();
      else one.textContent = ago(then);
      one.title = new Date(then).toLocaleString();
    });
  }
  times(); setInterval(times, 10000); document.addEventListener("htmx:afterSwap", times);

  async function call(method, url, content) {
    var answer = await fetch(url, { method: method, headers: { "content-type": "application/json", "x-csrf-token": body.dataset.csrf || "" }, body: content === undefined ? undefined : JSON.stringify(content) });
    if (answer.status === 401) { location.href = "/login"; throw new Error("Log in again."); }
    var said = await answer.json().catch(function () { return {}; });
    if (!answer.ok) throw new Error(said.error ? said.error.message + (said.error.detail ? " " + said.error.detail.map(function (d) { return d.what; }).join(" ") : "") : "It failed.");
    return said;
  }
  window.edgesdk = { call: call, tell: tell };
  function put(form, words, bad) { var out = form.querySelector("output"); if (out) { out.textContent = words; out.className = bad ? "bad" : ""; } }

  document.addEventListener("submit", async function (event) {
    var form = event.target, data = form.dataset, fields = new FormData(form), by = event.submitter;
    if (!(data.command || data.bulk)) return;
    event.preventDefault();
    if (by && by.dataset.sure && !confirm(by.dataset.sure)) return;
    put(form, "…");
    if (by) by.disabled = true;
    try {
      if (data.command) {
        var verb = by.value, named = fields.get("camera"), cameras = [named], sent;
        // A snapshot is of one camera: every one of them is one command each.
        if (verb === "snapshot" && !named && form.elements.camera) cameras = Array.from(form.elements.camera.options, function (one) { return one.value; }).slice(1);
        for (var camera of cameras) sent = await call("POST", "/api/v1/commands", { node: data.command, verb: verb, arguments: camera && verb !== "birth" && verb !== "restart" ? { camera: camera } : {} });
        put(form, verb + " is sent"); tell("command-said");
        follow(sent.ids[0], form, verb);
      } else {
        var many = await call("POST", "/api/v1/commands", { selection: JSON.parse(data.bulk), expect: +data.expect, verb: fields.get("verb") });
        put(form, "Sent to " + many.devices + " devices. ");
        var link = document.createElement("a");
        link.href = "/search?what=commands&bulk=" + many.bulk; link.textContent = "What they answered";
        form.querySelector("output").append(link);
      }
    } catch (error) { put(form, error.message, true); }
    if (by) by.disabled = false;
  });
  async function follow(id, form, verb) {
    for (var tries = 0; tries < 35; tries++) {
      await new Promise(function (done) { setTimeout(done, 400 + tries * 40); });
      var now = await call("GET", "/api/v1/commands/" + id);
      if (["done", "refused", "expired"].includes(now.state)) {
        put(form, verb + ": " + (now.state === "expired" ? "no answer in time" : now.ok ? "done" : now.message || now.code || "failed"), !now.ok);
        return tell("command-said");
      }
    }
  }
  function problem(words) {
    var place = document.getElementById("problem"), line = document.createElement("p");
    line.className = "banner bad"; line.textContent = words; place.replaceChildren(line);
  }
  // An error must not take the place of what is shown.
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.xhr.status >= 400) { event.detail.shouldSwap = false; problem("This could not be refreshed (" + event.detail.xhr.status + "). What is shown is from before."); }
    else document.getElementById("problem").replaceChildren();
  });
})();
