// Hover, toggles and zoom. The data is in the paths: whole numbers in a square of 10,000, each point given by what it is further than the last.
(() => {
  "use strict";
  const SIDE = 10000, FAR = 100;
  const root = document.documentElement, body = document.body;

  // Theme, columns, seeds, statistic, source.
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  each("#theme", (button) => button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
  }));
  each("nav button[data-off]", (button) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    body.classList.toggle(button.dataset.off, !on);
  }));
  each(".segmented", (group) => group.addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    for (const button of group.children) {
      const on = button === chosen;
      button.setAttribute("aria-pressed", on);
      body.classList.toggle(button.dataset.on, on);
    }
  }));

  // Numbers as the page writes them.
  const minus = (text) => text.replace(/-/g, "−");
  const value = (x) => {
    const size = Math.abs(x);
    if (size === 0) return "0";
    if (size >= 1e7 || size < 1e-3) return minus(x.toExponential(2));
    const digits = size >= 1000 || Number.isInteger(x) ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : size >= 0.01 ? 4 : 5;
    return minus(x.toFixed(digits));
  };
  const decimals = (step) => {
    const isWhole = (x) => x > 0.5 && Math.abs(x - Math.round(x)) < 1e-6 * Math.max(x, 1);
    let digits = 0;
    while (digits < 4 && !isWhole(step * 10 ** digits)) digits++;
    return digits;
  };
  const number = (x, step, largest) => {
    if (Math.abs(x) < 1e-9 * Math.abs(step)) return "0";
    if (largest < 1e-3) return minus(x.toExponential(decimals(step / 10 ** Math.floor(Math.log10(largest)))));
    const [unit, name] = largest >= 1e9 ? [1e9, "G"] : largest >= 1e6 ? [1e6, "M"] : largest >= 1e4 ? [1e3, "k"] : [1, ""];
    return minus((x / unit).toFixed(decimals(step / unit))) + name;
  };
  const ticks = (low, high, scale) => {
    if (scale === "log" && high / low >= 10) {
      const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high));
      const every = 1 + Math.floor((last - first) / 6), marks = [];
      for (let power = first; power <= last && last - first >= 2; power += every) marks.push(10 ** power);
      // So few decades leave most of the axis without a mark.
      for (let power = first - 1; power <= last && last - first < 2; power++)
        for (const m of [1, 2, 5]) if (m * 10 ** power >= low * (1 - 1e-9) && m * 10 ** power <= high * (1 + 1e-9)) marks.push(m * 10 ** power);
      // All in one way: as powers where one has to be.
      const of = (x) => marks[0] < 1e-3 * (1 - 1e-9) ? marks[0] : x;
      return marks.map((x) => [x, number(x, x, of(x))]);
    }
    const least = (high - low) / 5, power = 10 ** Math.floor(Math.log10(least));
    const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= least * (1 - 1e-9)));
    const largest = Math.max(Math.abs(low), Math.abs(high)), found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push([i * step, number(i * step, step, largest)]);
    return found;
  };

  // The points of a path, read once.
  const known = new WeakMap();
  const points = (path) => {
    if (known.has(path)) return known.get(path);
    const d = path.getAttribute("d"), found = [];
    if (d.includes("h0")) {
      for (const [, x, y] of d.matchAll(/M(-?\d+) (-?\d+)h0/g)) found.push([+x, +y]);
    } else {
      const steps = (d.match(/-?\d+/g) || []).map(Number);
      let x = 0, y = 0;
      for (let i = 0; i + 1 < steps.length; i += 2) found.push([x += steps[i], y += steps[i + 1]]);
    }
    known.set(path, found);
    return found;
  };
  const at = (line, x) => {
    if (!line.length || x < line[0][0] || x > line[line.length - 1][0]) return null;
    let low = 0, high = line.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (line[middle][0] <= x) low = middle; else high = middle;
    }
    const [[x0, y0], [x1, y1]] = [line[low], line[high]];
    return x1 === x0 ? y0 : y0 + (x - x0) / (x1 - x0) * (y1 - y0);
  };
  const isShown = (element) => getComputedStyle(element).display !== "none";

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  body.append(tip);
  const row = (name, text, colour) => {
    const line = document.createElement("div"), label = document.createElement("b"), content = document.createElement("span");
    label.textContent = name;
    content.textContent = text;
    if (colour) line.className = colour; else label.className = "at";
    line.append(label, content);
    return line;
  };
  const colourOf = (path) => (path.getAttribute("class").match(/c\d+/) || [""])[0];

  each("figure.chart", (figure) => {
    const area = figure.querySelector(".area"), svg = figure.querySelector("svg");
    if (!area) return;
    const axis = (text) => {
      const [low, high, scale] = text.split(" ");
      const [a, b] = [+low, +high];
      return { scale, value: (place) => scale === "log" ? a * (b / a) ** place : a + (b - a) * place,
        place: (v) => scale === "log" ? Math.log(v / a) / Math.log(b / a) : (v - a) / (b - a) };
    };
    const X = axis(figure.dataset.x), Y = axis(figure.dataset.y), isNamed = Y.scale === "names";
    const grid = figure.querySelector("path.grid"), whole = [0, 0, SIDE, SIDE];
    let view = whole.slice(), reset = null;
    area.tabIndex = 0;

    const spans = (box, found, side, place) => {
      box.replaceChildren(...found.map(([v, text]) => {
        const span = document.createElement("span");
        span.textContent = text;
        span.style[side] = 100 * place(v) + "%";
        return span;
      }));
    };
    const show = (next) => {
      const least = SIDE / 400;
      let [x0, y0, x1, y1] = next;
      if (x1 - x0 < least || y1 - y0 < least) return;
      [x0, x1] = [Math.max(0, x0), Math.min(SIDE, x1)];
      [y0, y1] = isNamed ? [0, SIDE] : [Math.max(0, y0), Math.min(SIDE, y1)];
      view = [x0, y0, x1, y1];
      const isZoomed = view.some((edge, i) => edge !== whole[i]);
      svg.setAttribute("viewBox", `${x0} ${y0} ${x1 - x0} ${y1 - y0}`);
      figure.classList.toggle("zoomed", isZoomed);
      const xs = ticks(X.value(x0 / SIDE), X.value(x1 / SIDE), X.scale);
      spans(figure.querySelector(".xt"), xs, "left", (v) => (X.place(v) * SIDE - x0) / (x1 - x0));
      if (isNamed) {
        grid.setAttribute("d", xs.map(([v]) => `M${X.place(v) * SIDE} 0v${SIDE}`).join(""));
      } else {
        const ys = ticks(Y.value(1 - y1 / SIDE), Y.value(1 - y0 / SIDE), Y.scale);
        spans(figure.querySelector(".yt"), ys, "top", (v) => ((1 - Y.place(v)) * SIDE - y0) / (y1 - y0));
        grid.setAttribute("d", ys.map(([v]) => `M0 ${(1 - Y.place(v)) * SIDE}h${SIDE}`).join(""));
      }
      if (isZoomed && !reset) {
        reset = document.createElement("button");
        reset.className = "reset";
        reset.textContent = "Reset zoom";
        reset.addEventListener("click", () => show(whole));
        figure.append(reset);
      } else if (!isZoomed && reset) {
        reset.remove();
        reset = null;
      }
    };
    const about = (x, y, factor) => show([x - (x - view[0]) * factor, y - (y - view[1]) * factor, x + (view[2] - x) * factor, y + (view[3] - y) * factor]);

    // From the screen into the square.
    const inSquare = (event) => {
      const box = area.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      return { px, py, box, x: view[0] + px / box.width * (view[2] - view[0]), y: view[1] + py / box.height * (view[3] - view[1]) };
    };

    const cross = document.createElement("div"), sel = document.createElement("div");
    cross.className = "cross";
    sel.className = "sel";
    cross.hidden = sel.hidden = true;
    area.append(cross, sel);
    let hot = null;
    const cool = () => {
      if (hot) hot.classList.remove("hot");
      hot = null;
    };
    const leave = () => {
      tip.hidden = cross.hidden = true;
      cool();
    };
    // What lies too far outside is drawn nearer than it is.
    const textAt = (path, y) => (y <= -FAR * SIDE ? "above " : y >= (1 + FAR) * SIDE ? "below " : "") + value(Y.value(1 - y / SIDE));
    const rowsAt = (where) => {
      const paths = [...svg.querySelectorAll("path[data-n]")].filter(isShown), rows = [];
      if (isNamed) {
        const line = Math.round(Y.value(1 - where.y / SIDE));
        for (const dots of paths.filter((path) => path.classList.contains("dots") || path.classList.contains("block"))) {
          const mine = points(dots), end = mine[mine.length - 1];
          if (!end || Math.round(Y.value(1 - end[1] / SIDE)) !== line) continue;
          const bar = paths.find((path) => path.classList.contains("bar") && path.dataset.n === dots.dataset.n && isShown(path));
          const along = (x) => value(X.value(x / SIDE));
          let text = along(end[0]);
          if (dots.classList.contains("block")) text = value(X.value(end[0] / SIDE) - X.value(mine[0][0] / SIDE));
          else if (bar) text += ` [${points(bar).map(([x]) => along(x)).join(", ")}]`;
          rows.push(row(dots.dataset.n, text, colourOf(dots) || "c"));
        }
        return rows;
      }
      const near = { distance: 16, path: null, y: 0 };
      for (const path of paths) {
        const kind = path.classList;
        if (kind.contains("line") || kind.contains("dash")) {
          const y = at(points(path), where.x);
          if (y === null) continue;
          let text = textAt(path, y);
          const layer = ["fixed", "iqm", "mean"].find((name) => kind.contains(name));
          // Where some of a line's places have no interval its band is in parts.
          const isIts = (other) => other.classList.contains("band") && other.classList.contains(layer) && other.dataset.n === path.dataset.n;
          for (const band of kind.contains("line") ? paths.filter(isIts) : []) {
            const all = points(band), half = all.length >> 1;
            const ends = [at(all.slice(half).reverse(), where.x), at(all.slice(0, half), where.x)];
            if (!ends.includes(null)) text += ` [${ends.map((end) => textAt(path, end)).join(", ")}]`;
          }
          rows.push(row(path.dataset.n, text, colourOf(path) || "c"));
        } else if (kind.contains("thread")) {
          const y = at(points(path), where.x);
          if (y === null) continue;
          const distance = Math.abs(y - where.y) / (view[3] - view[1]) * where.box.height;
          if (distance < near.distance) Object.assign(near, { distance, path, y });
        } else if (kind.contains("rule") && !path.getAttribute("d").includes("v")) {
          const y = points(path)[0] || [0, +path.getAttribute("d").match(/M0 (-?\d+)/)[1]];
          rows.push(row(path.dataset.n, textAt(path, y[1]), colourOf(path) || "c"));
        } else if (kind.contains("dots")) {
          for (const [x, y] of points(path)) {
            if (Math.abs(x - where.x) / (view[2] - view[0]) * where.box.width < 8) {
              rows.push(row(path.dataset.n, textAt(path, y), colourOf(path) || "c"));
            }
          }
        }
      }
      if (near.path !== hot) cool();
      if (near.path) {
        hot = near.path;
        hot.classList.add("hot");
        rows.push(row(hot.dataset.n, textAt(hot, near.y), colourOf(hot)));
      }
      return rows;
    };
    const hover = (event) => {
      const where = inSquare(event), rows = rowsAt(where);
      if (!rows.length) return leave();
      cross.hidden = isNamed;
      cross.style.left = 100 * where.px / where.box.width + "%";
      const unit = figure.querySelector(".xl").textContent;
      tip.replaceChildren(...(isNamed ? [] : [row(unit, value(X.value(where.x / SIDE)))]), ...rows);
      tip.hidden = false;
      const { width, height } = tip.getBoundingClientRect();
      const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
      tip.style.left = Math.max(6, Math.min(left, innerWidth - width - 6)) + "px";
      tip.style.top = Math.max(6, Math.min(event.clientY + 14, innerHeight - height - 6)) + "px";
    };

    // Drawing a rectangle with a mouse, or two fingers, zooms.
    const fingers = new Map();
    let start = null, pinch = null, waiting = false;
    const apart = () => {
      const [a, b] = [...fingers.values()];
      return { distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
        middle: inSquare({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 }) };
    };
    area.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      if (event.pointerType !== "touch" && event.button === 0) {
        start = inSquare(event);
        area.setPointerCapture(event.pointerId);
      } else if (fingers.size === 2) {
        pinch = { ...apart(), view: view.slice() };
      } else {
        hover(event);
      }
    });
    area.addEventListener("pointermove", (event) => {
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
      if (pinch && fingers.size === 2) {
        const factor = pinch.distance / Math.max(20, apart().distance), { x, y } = pinch.middle, [x0, y0, x1, y1] = pinch.view;
        return show([x - (x - x0) * factor, y - (y - y0) * factor, x + (x1 - x) * factor, y + (y1 - y) * factor]);
      }
      if (start) {
        const now = inSquare(event), box = now.box;
        const clip = (p, size) => Math.max(0, Math.min(size, p));
        const [left, right] = [start.px, clip(now.px, box.width)].sort((a, b) => a - b);
        let [top, bottom] = [start.py, clip(now.py, box.height)].sort((a, b) => a - b);
        if (isNamed || bottom - top < 14) [top, bottom] = [0, box.height];
        sel.hidden = right - left < 6;
        Object.assign(sel.style, { left: left + "px", width: right - left + "px", top: top + "px", height: bottom - top + "px" });
        start.to = sel.hidden ? null : [left / box.width, top / box.height, right / box.width, bottom / box.height];
        return;
      }
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        hover(event);
      });
    });
    const end = (event) => {
      fingers.delete(event.pointerId);
      if (fingers.size < 2) pinch = null;
      if (!start) return;
      const to = start.to, [x0, y0, x1, y1] = view;
      sel.hidden = true;
      start = null;
      if (to && event.type === "pointerup") {
        leave();
        show([x0 + to[0] * (x1 - x0), y0 + to[1] * (y1 - y0), x0 + to[2] * (x1 - x0), y0 + to[3] * (y1 - y0)]);
      }
    };
    area.addEventListener("pointerup", end);
    area.addEventListener("pointercancel", end);
    area.addEventListener("pointerleave", () => { if (!start) leave(); });
    area.addEventListener("dblclick", () => show(whole));
    area.addEventListener("keydown", (event) => {
      const [x, y] = [(view[0] + view[2]) / 2, (view[1] + view[3]) / 2];
      const acts = { "+": () => about(x, y, 0.7), "=": () => about(x, y, 0.7), "-": () => about(x, y, 1 / 0.7), "0": () => show(whole), Escape: () => show(whole) };
      if (acts[event.key]) {
        acts[event.key]();
        event.preventDefault();
      }
    });
  });
})();
