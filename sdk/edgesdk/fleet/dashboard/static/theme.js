// Light or dark as the person chose last; before the page is drawn, so that nothing flashes.
(function () {
  "use strict";
  var root = document.documentElement;
  try { var kept = localStorage.getItem("theme"); if (kept === "light" || kept === "dark") root.dataset.theme = kept; } catch (e) { /* private windows */ }
  document.addEventListener("click", function (event) {
    if (!event.target.closest("[data-theme-button]")) return;
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (e) { /* as above */ }
    document.dispatchEvent(new Event("theme-changed"));
  });
})();
