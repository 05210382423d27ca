"use strict";
// Draws the charts, shows one workload at a time, tells what signs mean, filters the findings.
// Text reaches the page as text nodes alone; names from logs are never markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = 7, DASHES = 4;
  const NEAR_PX = 40;

  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const readData = (id) => JSON.parse(byId(id).textContent);
  const overview = readData("overview-data");
  const names = overview.submissions;

  // ---- Nodes -------------------------------------------------------------------------------

  function fill(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }
  const node = (name, attributes = {}, ...children) =>
    fill(document.createElement(name), attributes, children);
  const shape = (name, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, name), attributes, children);
  const look = (row) => `s${row % COLOURS} d${row % DASHES}`;

  // ---- Numbers -----------------------------------------------------------------------------

  function plain(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e7 || size < 1e-3)) return value.toExponential(2).replace(/\.?0+e/, "e");
    return size >= 1e3 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(4)));
  }
  const seconds = (value) => `${value >= 100 ? Math.round(value).toLocaleString("en-US") : plain(value)} s`;
  const percent = (share) => `${Number((100 * share).toFixed(1))} %`;

  function evenTicks(from, to, wanted) {
    const rough = (to - from) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough * 0.999);
    const ticks = [];
    for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k += 1) {
      ticks.push(Number((k * step).toPrecision(12)));
    }
    return ticks;
  }

  function logTicks(from, to) {
    const ticks = [];
    const decades = Math.log10(to / from);
    const parts = decades > 4 ? [1] : decades > 1.5 ? [1, 3] : decades > 0.9 ? [1, 2, 5] : [1, 1.25, 1.5, 2, 3, 4, 6, 8];
    for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1) {
      for (const part of parts) {
        const tick = Number((part * 10 ** power).toPrecision(3));
        if (tick >= from * 0.9999 && tick <= to * 1.0001) ticks.push(tick);
      }
    }
    return ticks;
  }

  // An axis is {from, to, log, label, ticks}; a scale maps its values to pixels and back.
  function scale(axis, start, end) {
    const through = axis.log ? Math.log : (value) => value;
    const back = axis.log ? Math.exp : (value) => value;
    const low = through(axis.from), span = through(axis.to) - low || 1;
    return {
      at: (value) => start + ((through(value) - low) / span) * (end - start),
      value: (pixel) => back(low + ((pixel - start) / (end - start)) * span),
    };
  }

  // ---- The frame of a chart ----------------------------------------------------------------

  let clips = 0;

  function frame(holder, label, axes) {
    const width = Math.max(holder.clientWidth || 640, 240);
    const height = Math.round(Math.min(400, Math.max(250, width * 0.55)));
    const box = { left: 66, right: width - 14, top: 10, bottom: height - 44 };
    const x = scale(axes.x, box.left, box.right), y = scale(axes.y, box.bottom, box.top);
    clips += 1;
    const clip = `clip-${clips}`;
    const inside = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
    const plot = shape("g", { "clip-path": `url(#${clip})` });
    const over = shape("g", {});
    const root = shape(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application",
        "aria-label": `${label}. Arrow keys move through the values.` },
      shape("defs", {}, shape("clipPath", { id: clip }, shape("rect", inside))),
    );
    drawGrid(root, axes, { x, y }, box);
    root.append(plot, over);
    holder.replaceChildren(root);
    return { root, plot, over, x, y, box };
  }

  function drawGrid(root, axes, scales, box) {
    const xTicks = axes.x.ticks || (axes.x.log ? logTicks(axes.x.from, axes.x.to)
      : evenTicks(axes.x.from, axes.x.to, (box.right - box.left) / 90));
    const spaced = xTicks.filter((tick, index) => index === 0 || roomFor(tick, index));
    function roomFor(tick, index) {
      return axes.x.ticks || scales.x.at(tick) - scales.x.at(xTicks[index - 1]) > 14;
    }
    for (const tick of spaced) {
      const at = scales.x.at(tick);
      root.append(
        shape("line", { x1: at, x2: at, y1: box.top, y2: box.bottom, class: "grid" }),
        shape("text", { x: at, y: box.bottom + 16, "text-anchor": "middle" }, plain(tick)),
      );
    }
    for (const tick of axes.y.ticks || evenTicks(axes.y.from, axes.y.to, (box.bottom - box.top) / 45)) {
      const at = scales.y.at(tick);
      root.append(
        shape("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }),
        shape("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, (axes.y.text || plain)(tick)),
      );
    }
    const middle = (box.top + box.bottom) / 2;
    root.append(
      shape("text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }, axes.x.label),
      shape("text", { x: 12, y: middle, transform: `rotate(-90 12 ${middle})`, "text-anchor": "middle" }, axes.y.label),
    );
  }

  function redrawWhenResized(holder, draw) {
    let width = holder.clientWidth;
    new ResizeObserver(() => {
      if (holder.clientWidth === 0 || holder.clientWidth === width) return;
      width = holder.clientWidth;
      draw();
    }).observe(holder);
  }

  // ---- Which submissions are shown ---------------------------------------------------------

  function selection(rows) {
    const listeners = [];
    const shown = new Set(rows);
    const tell = () => listeners.forEach((listener) => listener());
    return {
      has: (row) => shown.has(row),
      listen: (listener) => listeners.push(listener),
      toggle(row) {
        if (!shown.delete(row)) shown.add(row);
        tell();
      },
      set(rowsNow) {
        shown.clear();
        rowsNow.forEach((row) => shown.add(row));
        tell();
      },
    };
  }

  function legend(chosen) {
    const values = names.map(() => node("span", { class: "value" }));
    const buttons = names.map((name, row) => {
      const line = shape("line", { x1: 1, x2: 25, y1: 6, y2: 6, class: `line strong ${look(row)}` });
      const swatch = shape("svg", { width: 26, height: 12, "aria-hidden": "true" }, line);
      const button = node("button", { type: "button" }, swatch, node("span", { class: "name" }, name), values[row]);
      button.addEventListener("click", () => chosen.toggle(row));
      return button;
    });
    const every = node("button", { type: "button", class: "quick" }, "all");
    const none = node("button", { type: "button", class: "quick" }, "none");
    every.addEventListener("click", () => chosen.set(names.keys()));
    none.addEventListener("click", () => chosen.set([]));
    const refresh = () => buttons.forEach((button, row) => button.setAttribute("aria-pressed", chosen.has(row)));
    chosen.listen(refresh);
    refresh();
    const root = node("div", { class: "legend", role: "group", "aria-label": "Submissions shown" }, ...buttons, every, none);
    return { root, say: (texts) => values.forEach((value, row) => { value.textContent = texts[row] || ""; }) };
  }

  // ---- Performance profiles ----------------------------------------------------------------

  const within = (row, tau) => overview.ratios[row].filter((ratio) => ratio <= tau).length;

  function stepPath(row, view) {
    const ratios = overview.ratios[row].filter((ratio) => ratio <= overview.limit).sort((a, b) => a - b);
    const height = (tau) => view.y.at(within(row, tau) / overview.base);
    const steps = ratios.filter((ratio) => ratio > 1).map((ratio) => `H${view.x.at(ratio)}V${height(ratio)}`);
    return `M${view.x.at(1)},${height(1)}${steps.join("")}H${view.x.at(overview.limit)}`;
  }

  function profileChart(host) {
    const chosen = selection(names.keys());
    const keys = legend(chosen);
    const holder = node("div", { class: "canvas" });
    const output = node("output", { "aria-live": "polite" }, "Hover, tap or use arrow keys for values.");
    const label = host.getAttribute("aria-label");
    let tau = null, view = null, cursor = null;

    function showValues() {
      if (tau === null) return;
      const at = view.x.at(tau);
      cursor.setAttribute("x1", at);
      cursor.setAttribute("x2", at);
      cursor.removeAttribute("visibility");
      const counts = names.map((_, row) => within(row, tau));
      keys.say(counts.map((count) => percent(count / overview.base)));
      const order = [...names.keys()].filter(chosen.has).sort((a, b) => counts[b] - counts[a]);
      const best = order.slice(0, 3).map((row) => `${names[row]} ${percent(counts[row] / overview.base)}`);
      output.textContent = `τ = ${tau.toFixed(2)}: ${best.join(", ") || "nothing is shown"}`;
    }

    function draw() {
      view = frame(holder, label, {
        x: { from: 1, to: overview.limit, log: true, label: "τ, multiple of the fastest time" },
        y: { from: 0, to: 1.02, ticks: [0, 0.25, 0.5, 0.75, 1], text: percent, label: "workloads within τ" },
      });
      for (const row of [...names.keys()].reverse()) {
        if (!chosen.has(row)) continue;
        view.plot.append(shape("path", { d: stepPath(row, view), class: `line strong ${look(row)}`, "data-row": row }));
      }
      cursor = shape("line", { y1: view.box.top, y2: view.box.bottom, class: "cursor", visibility: "hidden" });
      view.over.append(cursor);
      const move = (event) => moveTo(view.x.value(event.clientX - view.root.getBoundingClientRect().left));
      view.root.addEventListener("pointermove", move);
      view.root.addEventListener("pointerdown", move);
      view.root.addEventListener("keydown", onKey);
      showValues();
    }

    function moveTo(value) {
      tau = Math.min(Math.max(value, 1), overview.limit);
      showValues();
    }

    function onKey(event) {
      const step = overview.limit ** 0.02;
      const now = tau === null ? 1 : tau;
      const to = { ArrowRight: now * step, ArrowLeft: now / step, Home: 1, End: overview.limit }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      moveTo(to);
    }

    host.replaceChildren(keys.root, holder, output);
    chosen.listen(draw);
    redrawWhenResized(holder, draw);
    draw();
  }

  // ---- Charts of points: learning curves, best of k trials, hyperparameters ----------------

  // `make()` returns {axes, rules, series}; a series is {row, points, text(index), line, strong}.
  function pointChart(host, chosen, controls, make) {
    const holder = node("div", { class: "canvas" });
    const output = node("output", { "aria-live": "polite" }, "Hover, tap or use arrow keys for values.");
    let view = null, drawn = [], focus = null;

    function draw() {
      const { axes, rules, series } = make();
      drawn = series.filter((one) => chosen.has(one.row) && one.points.length);
      view = frame(holder, host.getAttribute("aria-label"), axes);
      focus = null;
      for (const one of drawn) view.plot.append(drawnSeries(one, view));
      for (const rule of rules) view.over.append(...drawnRule(rule, view));
      view.mark = shape("g", { "clip-path": view.plot.getAttribute("clip-path") });
      view.over.append(view.mark);
      if (!drawn.length) output.textContent = "Nothing is shown; choose a submission.";
      const near = (event) => showNearest(event);
      view.root.addEventListener("pointermove", near);
      view.root.addEventListener("pointerdown", near);
      view.root.addEventListener("keydown", onKey);
    }

    function show(place) {
      focus = place;
      const one = drawn[place.series];
      const [x, y] = one.points[place.point];
      view.mark.replaceChildren(drawnSeries({ ...one, strong: true }, view, " focus"));
      if (y !== null) view.mark.append(shape("circle", { cx: view.x.at(x), cy: view.y.at(y), r: 5, class: `dot ${look(one.row)}` }));
      output.textContent = one.text(place.point);
    }

    function showNearest(event) {
      const box = view.root.getBoundingClientRect();
      const px = event.clientX - box.left, py = event.clientY - box.top;
      let best = NEAR_PX ** 2, place = null;
      drawn.forEach((one, series) => one.points.forEach(([x, y], point) => {
        if (y === null) return;
        const away = (view.x.at(x) - px) ** 2 + (view.y.at(y) - py) ** 2;
        if (away < best) [best, place] = [away, { series, point }];
      }));
      if (place) show(place);
    }

    function onKey(event) {
      const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!by || !drawn.length) return;
      event.preventDefault();
      if (!focus) return show({ series: 0, point: 0 });
      const series = (focus.series + by[0] + drawn.length) % drawn.length;
      const last = drawn[series].points.length - 1;
      show({ series, point: Math.min(Math.max(focus.point + by[1], 0), last) });
    }

    host.replaceChildren(...controls, holder, output);
    chosen.listen(draw);
    redrawWhenResized(holder, draw);
    draw();
    return draw;
  }

  function drawnSeries(one, view, more = "") {
    const group = shape("g", { class: "series", "data-row": one.row });
    if (one.line) {
      let pen = "M";
      const parts = one.points.map(([x, y]) => {
        if (y === null) {
          pen = "M";
          return "";
        }
        const part = `${pen}${view.x.at(x).toFixed(1)},${view.y.at(y).toFixed(1)}`;
        pen = "L";
        return part;
      });
      group.append(shape("path", { d: parts.join("") || "M0,0", class: `line ${one.strong ? "strong" : "faint"} ${look(one.row)}${more}` }));
    }
    if (one.dots) {
      for (const [x, y] of one.points) {
        if (y !== null) group.append(shape("circle", { cx: view.x.at(x), cy: view.y.at(y), r: 3.5, class: `dot ${look(one.row)}` }));
      }
    }
    return group;
  }

  function drawnRule(rule, view) {
    const { box } = view;
    if (rule.x !== undefined) {
      const at = view.x.at(rule.x);
      return [
        shape("line", { x1: at, x2: at, y1: box.top, y2: box.bottom, class: "rule" }),
        shape("text", { x: at - 5, y: box.bottom - 6, "text-anchor": "end", class: "rule-text" }, rule.text),
      ];
    }
    const at = view.y.at(rule.y);
    return [
      shape("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "rule" }),
      shape("text", { x: box.left + 6, y: at + (rule.below || at - box.top < 20 ? 14 : -5), class: "rule-text" }, rule.text),
    ];
  }

  // A trial in the data is [row, study, number, best, time to target, times, values, hyperparameters].
  const trialName = ([row, study, number]) => `${names[row]}, ${study}, trial ${number}`;

  function curvesChart(host, data, chosen) {
    let zoomed = false;
    const zoom = node("button", { type: "button", "aria-pressed": "false", class: "quick zoom" }, "zoom to the target");
    const series = data.trials
      .map((trial) => ({
        row: trial[0], line: true, strong: trial[3] === 1, points: trial[5].map((time, index) => [time, trial[6][index]]),
        text(index) {
          const value = trial[6][index] === null ? "no value" : plain(trial[6][index]);
          const end = trial[4] === null ? "missed the target" : `at the target after ${seconds(trial[4])}`;
          return `${trialName(trial)}: ${data.metric} ${value} at ${seconds(trial[5][index])}; ${end}`;
        },
      }))
      .sort((a, b) => a.strong - b.strong || b.row - a.row);
    const draw = pointChart(host, chosen, [legend(chosen).root, zoom], () => ({
      series,
      axes: curveAxes(data, series.filter((one) => chosen.has(one.row)), zoomed),
      rules: [
        ...(data.target === null ? [] : [{ y: data.target, text: `target ${data.target}` }]),
        ...(data.budget === null ? [] : [{ x: data.budget, text: "budget" }]),
      ],
    }));
    zoom.addEventListener("click", () => {
      zoomed = !zoomed;
      zoom.setAttribute("aria-pressed", zoomed);
      draw();
    });
  }

  function curveAxes(data, series, zoomed) {
    const points = series.flatMap((one) => one.points).filter(([, y]) => y !== null);
    const target = data.target === null ? [] : [data.target];
    const values = [...points.map(([, y]) => y), ...target].sort((a, b) => (data.maximize ? a - b : b - a));
    const best = values.length ? values[values.length - 1] : 1;
    // The worst twentieth is cut off: diverging trials would flatten all others.
    let worst = values.length ? values[Math.floor(values.length * 0.05)] : 0;
    if (zoomed && target.length) {
      const room = Math.max(Math.abs(best - target[0]), 0.02 * Math.abs(target[0]));
      worst = target[0] + (data.maximize ? -3 : 3) * room;
    }
    const slack = 0.05 * Math.abs(best - worst) || 1;
    const [from, to] = data.maximize ? [worst - slack, best + slack] : [best - slack, worst + slack];
    const end = points.reduce((longest, [x]) => Math.max(longest, x), data.budget || 0) || 1;
    return { x: { from: 0, to: end * 1.03, label: "seconds" }, y: { from, to, label: data.metric } };
  }

  function tuningChart(host, data, chosen) {
    const most = Math.max(...data.tuning.map((row) => row.length));
    const series = data.tuning.map((row, submission) => ({
      row: submission, line: true, strong: true, dots: true,
      points: row.map((value, k) => [k + 1, value]).filter(([, value]) => value !== null),
      text(index) {
        const [k, value] = this.points[index];
        return `${names[submission]}: best of ${k}, ${seconds(value)} expected`;
      },
    }));
    pointChart(host, chosen, [legend(chosen).root], () => {
      const values = series.filter((one) => chosen.has(one.row)).flatMap((one) => one.points.map(([, y]) => y));
      const ticks = Array.from({ length: most }, (_, k) => k + 1);
      return {
        series, rules: [],
        axes: {
          x: { from: 0.8, to: most + 0.2, ticks, label: "number of trials, k" },
          y: { from: 0, to: 1.05 * Math.max(...values, 1e-9), label: "expected seconds" },
        },
      };
    });
  }

  function hyperparameter(data, trial, name) {
    return trial[7]?.[data.hyperparameters[trial[0]].indexOf(name)] ?? null;
  }

  // Those that take most values come first.
  function hyperparameterNames(data) {
    const count = (name) => new Set(data.trials.map((trial) => hyperparameter(data, trial, name))).size;
    return [...new Set(data.hyperparameters.flat())]
      .map((name) => [name, count(name)]).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  }

  function scatterChart(host, data, chosen) {
    const known = hyperparameterNames(data);
    const broken = data.trials.filter((trial) => trial[7] === null).length;
    const note = node("p", { class: "note" }, broken ? `Trials whose hyperparameters cannot be read: ${broken}.` : "");
    if (!known.length) {
      host.replaceChildren(note, node("p", { class: "note" }, "The trials carry no hyperparameters that are numbers."));
      return;
    }
    const chooser = node("select", {}, ...known.map((name) => node("option", { value: name }, name)));
    const label = node("label", {}, "Hyperparameter ", chooser);
    const draw = pointChart(host, chosen, [note, legend(chosen).root, label], () => scatter(data, chooser.value, chosen));
    chooser.addEventListener("change", draw);
  }

  function scatter(data, name, chosen) {
    const input = (trial) => hyperparameter(data, trial, name);
    const trials = data.trials.filter((trial) => input(trial) !== null);
    const seen = trials.filter((trial) => chosen.has(trial[0]));
    const inputs = seen.map(input);
    const [least, most] = [Math.min(...inputs, Infinity), Math.max(...inputs, -Infinity)];
    const log = least > 0 && most / least > 20;
    const limit = seen.reduce((longest, trial) => Math.max(longest, trial[4] ?? 0), data.budget || 0) || 1;
    const missed = 1.09 * limit;
    const series = trials.map((trial) => ({
      row: trial[0], dots: true, points: [[input(trial), trial[4] ?? missed]],
      text: () => `${trialName(trial)}: ${name} ${input(trial)}, ${trial[4] === null ? "missed the target" : seconds(trial[4])}`,
    }));
    return {
      series,
      rules: [{ y: 1.04 * limit, text: "missed above this line", below: true }],
      axes: {
        x: { ...padded(least, most, log), log, label: name },
        y: { from: 0, to: 1.14 * limit, ticks: evenTicks(0, limit, 5), label: "seconds to target" },
      },
    };
  }

  function padded(least, most, log) {
    if (!Number.isFinite(least)) return { from: 0, to: 1 };
    if (log) return { from: least / 1.15, to: most * 1.15 };
    const slack = 0.04 * (most - least) || Math.abs(most) * 0.1 || 1;
    return { from: least - slack, to: most + slack };
  }

  // ---- Workloads: one at a time ------------------------------------------------------------

  const workloads = all("section.workload");
  const WORKLOAD_CHARTS = { curves: curvesChart, tuning: tuningChart, scatter: scatterChart };
  const FEW = 3;

  function drawWorkload(section) {
    if (section.dataset.drawn) return;
    section.dataset.drawn = "yes";
    const data = readData(`workload-data-${workloads.indexOf(section)}`);
    const some = names.length > 2 * FEW ? FEW : names.length;
    const chosen = selection([...names.keys()].slice(0, some));
    for (const host of all(".chart", section)) WORKLOAD_CHARTS[host.dataset.chart](host, data, chosen);
  }

  function showWorkload(section) {
    for (const one of workloads) one.hidden = one !== section;
    for (const link of all("#workloads .tabs a")) {
      if (link.getAttribute("href") === `#${section.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    drawWorkload(section);
  }

  function follow() {
    const target = byId(location.hash.slice(1));
    if (!target || !workloads.includes(target)) return;
    showWorkload(target);
    target.scrollIntoView();
  }

  function printAll() {
    for (const section of workloads) {
      section.dataset.away = section.hidden ? "yes" : "";
      section.hidden = false;
      drawWorkload(section);
    }
  }

  function printedAll() {
    for (const section of workloads) section.hidden = section.dataset.away === "yes";
  }

  // ---- Signs, findings, theme --------------------------------------------------------------

  function explainSigns() {
    const tip = byId("tip");
    document.addEventListener("click", (event) => {
      const sign = event.target.closest(".why");
      tip.hidden = !sign;
      tip.textContent = sign ? sign.dataset.why : "";
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") tip.hidden = true;
    });
  }

  function filterFindings() {
    const filters = document.querySelector(".filters");
    if (!filters) return;
    const rows = all("#findings tbody tr").map((row) => ({
      row, what: row.cells[1].textContent, submission: row.cells[2].textContent, text: row.textContent.toLowerCase(),
    }));
    const control = (name) => filters.querySelector(`[data-filter="${name}"]`);
    const output = filters.querySelector("output");
    const apply = () => {
      const text = control("text").value.toLowerCase();
      const exact = ["what", "submission"].map((name) => [name, control(name).value]);
      let left = 0;
      for (const one of rows) {
        const fits = one.text.includes(text) && exact.every(([name, value]) => !value || one[name] === value);
        one.row.hidden = !fits;
        left += fits;
      }
      output.textContent = `${left.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} findings`;
    };
    filters.addEventListener("input", apply);
    filters.hidden = false;
  }

  function offerTheme() {
    const button = byId("theme");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    button.hidden = false;
    button.addEventListener("click", () => {
      const root = document.documentElement;
      const now = root.dataset.theme || (dark.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
    });
  }

  for (const host of all('[data-chart="profile-chart"]')) profileChart(host);
  if (workloads.length) showWorkload(workloads[0]);
  explainSigns();
  filterFindings();
  offerTheme();
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", printAll);
  addEventListener("afterprint", printedAll);
  follow();
})();
