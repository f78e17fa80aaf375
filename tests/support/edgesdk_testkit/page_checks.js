// Looks at a page for those who hear it, and for those who see little; gives what it finds fault with.
({
  // Everything a person can act on or look at must have a name.
  nameless() {
    const all = "a[href], button, input:not([type=hidden]), select, textarea, img, [role=img], summary";
    return [...document.querySelectorAll(all)]
      .filter(one => one.getClientRects().length)
      .filter(one => !(one.textContent.trim() || one.getAttribute("aria-label") || one.getAttribute("alt") || one.querySelector("img[alt]")
        || [...(one.labels || [])].some(label => label.textContent.trim())))
      .map(one => one.outerHTML.slice(0, 120));
  },
  // Text must stand out from its ground: 4.5 to 1, and 3 to 1 where it is large (WCAG 2, AA).
  faint() {
    const parts = text => {
      const found = text.match(/[\d.]+/g).map(Number);
      const scaled = text.startsWith("color(") ? [...found.slice(0, 3).map(v => v * 255), ...found.slice(3)] : found;
      return scaled.length > 3 ? scaled : [...scaled, 1];
    };
    const light = colour => {
      const [r, g, b] = colour.map(v => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = start => {
      const layers = [];
      for (let one = start; one; one = one.parentElement) {
        const colour = parts(getComputedStyle(one).backgroundColor);
        if (colour[3] > 0) layers.push(colour);
        if (colour[3] >= 1) break;
      }
      return layers.reverse().reduce((under, c) => under.map((v, i) => v * (1 - c[3]) + c[i] * c[3]), [255, 255, 255]);
    };
    const found = new Set();
    for (const one of document.querySelectorAll("main *, nav *")) {
      const says = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
      // What is over and done is paler on purpose; a chart's text is drawn, not written.
      if (!says || !one.getClientRects().length || one.closest(".hidden, option, svg, .a-cleared, .uplot, .none")) continue;
      const style = getComputedStyle(one);
      const [a, b] = [light(parts(style.color).slice(0, 3)), light(ground(one))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5)) found.add(`${one.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)} ${one.className}`);
    }
    return [...found];
  },
})
