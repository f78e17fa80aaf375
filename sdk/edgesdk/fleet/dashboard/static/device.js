// A device's page: what it says, as it says it, straight from the broker.
(function () {
  "use strict";
  var place = document.querySelector("[data-follow='yes']");
  if (!place || !window.EventSource) return;
  var list = place.querySelector("[data-results]"), words = place.querySelector("[data-follow-state]"), count = 0, since = Date.now(), heard = since, on = false;
  document.body.addEventListener("live-on", function () { on = true; });
  document.body.addEventListener("live-off", function () { on = false; words.textContent = "no connection, trying again"; });
  setInterval(function () {
    if (count) words.textContent = (count / ((Date.now() - since) / 1000)).toFixed(1) + " results a second";
    else if (on && Date.now() - heard > 5000) words.textContent = "no results at present";
    count = 0; since = Date.now();
  }, 2000);
  document.body.addEventListener("device-said", function (event) {
    var said = event.detail;
    if (said.kind === "result") result(said);
    else if (said.kind === "listening") words.textContent = "listening";
    else if (said.kind === "problem") words.textContent = said.message;
    else if (said.kind === "reply") window.edgesdk.tell("command-said");
    else if (said.kind === "event") window.edgesdk.tell("event-said");
    else if (said.kind === "picture") window.edgesdk.tell("picture-said");
    else if (said.kind === "state") window.edgesdk.tell("state-said");
  });
  // Boxes as they come, over the last picture: of one camera, the first that has any.
  var stage = place.querySelector("[data-stage]"), sizes = JSON.parse(stage.dataset.stage), of = null;
  function part(name, values, text) {
    var made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (var key in values) made.setAttribute(key, values[key]);
    if (text) made.textContent = text;
    return made;
  }
  function boxes(said) {
    if (!said.boxes || (of !== null && of !== said.camera)) return;
    of = said.camera; stage.hidden = false;
    var drawing = stage.firstElementChild, seen = document.querySelector("#pictures img[data-camera]");
    if (seen && seen.dataset.camera !== of) seen = null;
    var size = sizes[of] = sizes[of] || (seen ? [seen.naturalWidth, seen.naturalHeight] : [1, 1]);
    said.boxes.forEach(function (b) { size[0] = Math.max(size[0], b[2]); size[1] = Math.max(size[1], b[3]); });
    var parts = seen ? [part("image", { href: seen.src, width: size[0], height: size[1], preserveAspectRatio: "none" })] : [], high = size[1] / 18;
    said.boxes.forEach(function (b) {
      parts.push(part("rect", { x: b[0], y: b[1], width: b[2] - b[0], height: b[3] - b[1] }), part("text", { x: b[0], y: Math.max(high, b[1] - high / 4), "font-size": high }, b[4]));
    });
    drawing.setAttribute("viewBox", "0 0 " + size[0] + " " + size[1]); drawing.replaceChildren.apply(drawing, parts);
    stage.lastElementChild.textContent = of + ", now: " + said.text;
  }
  var drawn = 0;
  function result(said) {
    count++; heard = Date.now();
    if (Date.now() - drawn < 150) return;
    drawn = Date.now(); boxes(said);
    var none = list.querySelector("[data-none]"), line = document.createElement("li"), text = document.createElement("span"), when = document.createElement("time");
    if (none) none.remove();
    text.className = "grow"; text.textContent = said.camera + ": " + said.text;
    when.textContent = said.age_ms.toFixed(0) + " ms"; line.append(text, when); list.prepend(line);
    while (list.children.length > 30) list.lastElementChild.remove();
  }
})();
