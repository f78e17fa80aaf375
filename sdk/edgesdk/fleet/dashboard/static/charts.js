// Charts by uPlot: figures of the API over time. Where nothing came the line breaks; what is lost for good is shaded.
(function () {
  "use strict";
  if (!window.uPlot) return;
  var drawn = [];
  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
  function short(value) {
    if (value === null) return "";
    var size = Math.abs(value);
    return size >= 1e6 ? (value / 1e6).toFixed(1) + "M" : size >= 1e4 ? (value / 1e3).toFixed(0) + "k" : String(+value.toFixed(size < 10 ? 1 : 0));
  }
  function two(number) { return String(number).padStart(2, "0"); }
  function clock(u, times, place, space, step) {
    return times.map(function (t) {
      var at = new Date(t * 1000), day = at.getDate() + " " + at.toLocaleString(undefined, { month: "short" });
      return step >= 86400 || (at.getHours() === 0 && at.getMinutes() === 0) ? day : two(at.getHours()) + ":" + two(at.getMinutes());
    });
  }
  function none(figure, words) {
    var place = figure.querySelector(".plot, .none"), made = document.createElement("div");
    made.className = "none"; made.textContent = words; place.replaceWith(made);
  }
  async function draw(figure) {
    var data = figure.dataset, names = data.series.split(","), until = Date.now(), span = +data.span;
    if (!figure.firstElementChild) {
      var caption = document.createElement("figcaption");
      caption.append(data.title); caption.append(document.createElement("span")); figure.append(caption);
      var place = document.createElement("div"); place.className = "plot"; figure.append(place); figure.classList.add("waiting");
    }
    var said;
    try { said = await window.edgesdk.call("GET", data.chart + "?since_ms=" + (until - span * 1000) + "&until_ms=" + until + "&names=" + data.series); }
    catch (error) { figure.classList.remove("waiting"); if (!figure.plot) none(figure, "This chart cannot be read. " + error.message); return; }
    figure.classList.remove("waiting");
    var values = said.values, factor = data.unit === "MB" ? 1e-6 : 1;
    // Stages and causes are the device's own words: their lines are whatever came.
    if (/^(latency_ms|dropped_by_cause)$/.test(data.series)) names = Object.keys(values).slice(0, 6);
    var columns = names.map(function (name) { return (values[name] || []).map(function (v) { return v === null ? null : v * factor; }); });
    var known = columns.some(function (column) { return column.some(function (v) { return v !== null; }); });
    if (figure.plot) { figure.plot.destroy(); figure.plot = null; }
    if (!known) return none(figure, "Nothing was reported in this time.");
    var spot = figure.querySelector(".plot, .none"), place2 = document.createElement("div");
    place2.className = "plot"; spot.replaceWith(place2);
    var last = columns.map(function (column) { for (var i = column.length - 1; i >= 0; i--) if (column[i] !== null) return short(column[i]); return "–"; });
    var words = figure.querySelector("figcaption span");
    say(words, names, data.unit, function (i) { return last[i]; });
    place2.setAttribute("role", "img"); place2.setAttribute("aria-label", data.title + ", last: " + words.textContent);
    var axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    figure.plot = new uPlot({
      width: Math.max(120, place2.clientWidth), height: 170, legend: { show: false }, cursor: { y: false, drag: { x: false } },
      scales: { x: { range: [(until - span * 1000) / 1000, until / 1000] }, y: { range: function (u, low, high) { return low < 0 ? [low * 1.1, Math.max(0, high * 1.1)] : [0, high > 0 ? high * 1.15 : 1]; } } },
      axes: [Object.assign({ space: 70, size: 28, values: clock }, axis), Object.assign({ size: 46, values: function (u, all) { return all.map(short); } }, axis)],
      series: [{}].concat(names.map(function (name, i) { var c = colour("--series-" + (i + 1)); return { label: name, stroke: c, width: 1.6, spanGaps: false, points: { show: columns[i].length < 3 ? true : undefined, size: 4 }, fill: names.length === 1 ? c + "1f" : undefined }; })),
      hooks: { drawClear: [function (u) { shade(u, said.gaps || []); }], setCursor: [function (u) { hover(u, names, words, data.unit, columns, last); }] },
    }, [said.at_ms.map(function (t) { return t / 1000; })].concat(columns), place2);
    if (!drawn.includes(figure)) drawn.push(figure);
  }
  // Each line's name and figure; the style sheet gives it the line's colour.
  function say(words, names, unit, figure) {
    words.replaceChildren.apply(words, names.map(function (name, i) {
      var one = document.createElement("i");
      one.textContent = (names.length > 1 ? name.replace(/_ms$|^age_/g, "") + " " : "") + figure(i) + " ";
      return one;
    }).concat(unit));
    words.className = names.length > 1 ? "many" : "";
  }
  function shade(u, gaps) {
    u.ctx.save(); u.ctx.fillStyle = colour("--bad-soft");
    gaps.forEach(function (gap) {
      var from = u.valToPos(gap.from_ms / 1000, "x", true), to = u.valToPos(gap.to_ms / 1000, "x", true);
      u.ctx.fillRect(from, u.bbox.top, Math.max(2, to - from), u.bbox.height);
    });
    u.ctx.restore();
  }
  function hover(u, names, words, unit, columns, last) {
    var at = u.cursor.idx, then = at === null || at === undefined ? null : u.data[0][at];
    say(words, names, unit, function (i) { return then === null ? last[i] : short(columns[i][at]) || "–"; });
    if (then !== null) words.append(" at " + new Date(then * 1000).toLocaleTimeString());
  }
  function all() { document.querySelectorAll("[data-chart]").forEach(draw); }
  all(); setInterval(function () { if (!document.hidden) all(); }, 15000);
  document.addEventListener("theme-changed", all);
  var wait = 0;
  addEventListener("resize", function () { clearTimeout(wait); wait = setTimeout(function () { drawn.forEach(function (figure) { if (figure.plot) figure.plot.setSize({ width: Math.max(120, figure.querySelector(".plot").clientWidth), height: 170 }); }); }, 120); });
  document.addEventListener("click", function (event) {
    var by = event.target.closest("button[data-span]");
    if (!by) return;
    by.parentElement.querySelectorAll("button").forEach(function (one) { one.setAttribute("aria-pressed", one === by); });
    document.querySelectorAll("[data-chart]").forEach(function (figure) { figure.dataset.span = by.dataset.span; figure.classList.add("waiting"); draw(figure); });
  });
})();
