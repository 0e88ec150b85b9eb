// The dashboard: draws what `metrics` says every two seconds, and changes ratios and pauses through the admin API.
"use strict";

const INTERVAL = 2000;
const KEPT = 300; // samples: ten minutes
const SHOWN = 30; // samples that a chart has room for at least
const byId = (id) => document.getElementById(id);

// ---- Metrics ---------------------------------------------------------------------------------------------------------

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

function parse(page) {
  const samples = [];
  for (const line of page.split("\n")) {
    const found = SAMPLE.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name] = value.replace(/\\(.)/g, "$1");
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** One reading of every metric. */
class Reading {
  constructor(page) {
    this.at = performance.now();
    this.byName = Map.groupBy(parse(page), (sample) => sample.name);
  }

  all(name, labels = {}) {
    const wanted = Object.entries(labels);
    return (this.byName.get(name) ?? []).filter((s) => wanted.every(([key, value]) => s.labels[key] === value));
  }

  sum(name, labels) {
    return this.all(name, labels).reduce((sum, sample) => sum + sample.value, 0);
  }

  by(name, label, labels) {
    const sums = new Map();
    for (const s of this.all(name, labels)) sums.set(s.labels[label], (sums.get(s.labels[label]) ?? 0) + s.value);
    return sums;
  }

  has(name, labels) {
    return this.all(name, labels).length > 0;
  }
}

/** What happened between two readings. */
class Change {
  constructor(before, now) {
    this.before = before;
    this.now = now;
    this.seconds = (now.at - before.at) / 1000;
  }

  rate(name, labels) {
    return Math.max(0, this.now.sum(name, labels) - this.before.sum(name, labels)) / this.seconds;
  }

  rates(name, label, labels) {
    const before = this.before.by(name, label, labels);
    const now = [...this.now.by(name, label, labels)];
    return new Map(now.map(([key, value]) => [key, Math.max(0, value - (before.get(key) ?? 0)) / this.seconds]));
  }

  /** A quantile of a histogram in seconds, within its bucket by proportion; NaN when nothing happened. */
  quantile(q, name, labels) {
    const before = this.before.by(`${name}_bucket`, "le", labels);
    const buckets = [...this.now.by(`${name}_bucket`, "le", labels)]
      .map(([le, count]) => [le === "+Inf" ? Infinity : Number(le), count - (before.get(le) ?? 0)])
      .sort(([a], [b]) => a - b);
    const total = buckets.at(-1)?.[1] ?? 0;
    if (total <= 0) return NaN;
    let [low, below] = [0, 0];
    for (const [high, count] of buckets) {
      if (count >= q * total) {
        if (high === Infinity) return low;
        return low + (high - low) * (count === below ? 1 : (q * total - below) / (count - below));
      }
      [low, below] = [high, count];
    }
    return low;
  }
}

// ---- Text ------------------------------------------------------------------------------------------------------------

const number = (n) => new Intl.NumberFormat("en", { maximumFractionDigits: n < 10 ? 2 : n < 100 ? 1 : 0 }).format(n);
const perSecond = (n) => `${number(n || 0)}/s`;
const percent = (n) => `${Number((n * 100).toFixed(4))}%`;
const words = (reason) => reason.replaceAll("_", " ");

function time(seconds) {
  if (Number.isNaN(seconds)) return "–";
  return seconds < 0.001 ? `${number(seconds * 1e6)} µs` : seconds < 1 ? `${number(seconds * 1e3)} ms` : `${number(seconds)} s`;
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (n < 1024) return `${number(n)} ${unit}`;
    n /= 1024;
  }
  return `${number(n)} GiB`;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Fills a list of terms and values; what did not change is left alone. */
function tiles(list, entries) {
  for (const [i, [term, value]] of entries.entries()) {
    list.children[i] ?? list.append(element("div", {}, element("dt"), element("dd")));
    const [dt, dd] = list.children[i].children;
    if (dt.textContent !== term) dt.textContent = term;
    if (dd.textContent !== value) dd.textContent = value;
  }
  while (list.children.length > entries.length) list.lastChild.remove();
}

// ---- Charts ----------------------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

/** A series of points for each name, drawn as lines or stacked. Colours stay with the names. */
class Chart {
  constructor(parent, title, format, { stacked = false, colours = {} } = {}) {
    Object.assign(this, { title, format, stacked, colours, points: [], names: [] });
    this.plot = element("div", { class: "plot", role: "img" });
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", "0 0 1000 100");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.top = element("span", { class: "top" });
    this.half = element("span", { class: "half" });
    this.cursor = element("span", { class: "cursor" });
    this.legend = element("ul", { class: "legend" });
    this.plot.append(this.svg, this.top, this.half, this.cursor);
    parent.append(element("div", { class: "chart" }, element("h4", {}, title), this.plot, this.legend));
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.point(null));
  }

  colour(name) {
    this.colours[name] ??= `var(--c${this.names.indexOf(name) % 10})`;
    return this.colours[name];
  }

  push(values) {
    for (const name of values.keys()) if (!this.names.includes(name)) this.names.push(name);
    this.points.push(values);
    if (this.points.length > KEPT) this.points.shift();
    this.draw();
  }

  draw() {
    const value = (point, name) => point.get(name) || 0;
    const total = (point) => this.names.reduce((sum, name) => sum + value(point, name), 0);
    const highest = this.points.map((p) => (this.stacked ? total(p) : Math.max(0, ...this.names.map((n) => value(p, n)))));
    const top = nice(Math.max(...highest));
    this.width = Math.max(SHOWN, this.points.length) - 1;
    const x = (i) => 1000 - (this.points.length - 1 - i) * (1000 / this.width);
    const y = (n) => 98 - (n / top) * 96;
    const shapes = [50, 2].map((at) => shape("line", { class: "grid", x1: 0, x2: 1000, y1: at, y2: at }));
    let floor = this.points.map(() => 0);
    for (const name of this.names) {
      if (this.stacked) {
        const ceiling = this.points.map((p, i) => floor[i] + value(p, name));
        const up = ceiling.map((n, i) => `${x(i)},${y(n)}`);
        const down = floor.map((n, i) => `${x(i)},${y(n)}`).reverse();
        shapes.push(shape("polygon", { class: "area", points: [...up, ...down].join(" ") }, `fill: ${this.colour(name)}`));
        floor = ceiling;
      } else {
        // A gap where nothing was measured.
        let path = "";
        let drawing = false;
        for (const [i, point] of this.points.entries()) {
          const n = point.get(name);
          const known = n !== undefined && !Number.isNaN(n);
          if (known) path += `${drawing ? "L" : "M"}${x(i)} ${y(n)}`;
          drawing = known;
        }
        shapes.push(shape("path", { class: "line", d: path }, `stroke: ${this.colour(name)}`));
      }
    }
    this.svg.replaceChildren(...shapes);
    this.top.textContent = this.format(top);
    this.half.textContent = this.format(top / 2);
    this.show(this.at ?? this.points.length - 1);
  }

  point(event) {
    const box = this.plot.getBoundingClientRect();
    const at = event && this.points.length - 1 - Math.round((1 - (event.clientX - box.left) / box.width) * this.width);
    this.at = at !== null && at >= 0 ? at : undefined;
    this.cursor.style.display = this.at === undefined ? "none" : "block";
    if (this.at !== undefined) this.cursor.style.left = `${event.clientX - box.left}px`;
    if (this.points.length > 0) this.show(this.at ?? this.points.length - 1);
  }

  show(at) {
    const point = this.points[Math.min(at, this.points.length - 1)];
    const items = this.names.map((name) => {
      const key = element("i");
      key.style.background = this.colour(name);
      return element("li", {}, key, `${words(name)} `, element("b", {}, this.format(point.get(name) ?? NaN)));
    });
    const age = (this.points.length - 1 - at) * (INTERVAL / 1000);
    if (age > 0) items.push(element("li", { class: "age" }, `${age} s ago`));
    this.legend.replaceChildren(...items);
    const now = this.names.map((name) => `${words(name)} ${this.format(point.get(name) ?? NaN)}`);
    this.plot.setAttribute("aria-label", `${this.title}: ${now.join(", ") || "nothing yet"}`);
  }
}

function shape(tag, attributes, style) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  // A property, not an attribute: the page's policy forbids inline styles.
  if (style) made.style.cssText = style;
  return made;
}

/** The next of 1, 2, 5, 10 … */
function nice(n) {
  if (!(n > 0)) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((step) => step * magnitude).find((step) => step >= n);
}

const some = (rates) => new Map([...rates].filter(([, rate]) => rate > 0));

// ---- The admin API ---------------------------------------------------------------------------------------------------

let token = sessionStorage.getItem("token") ?? "";

async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401) byId("login").hidden = false;
  const text = await response.text();
  const answer = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
  if (!response.ok) throw new Error(answer.detail ?? answer.title ?? `${response.status} ${response.statusText}`);
  byId("login").hidden = true;
  return answer;
}

async function change(method, path, body) {
  try {
    await call(method, path, body);
    notice("");
    await refresh();
  } catch (error) {
    notice(error.message);
  }
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

// ---- The page --------------------------------------------------------------------------------------------------------

const production = {
  rate: new Chart(byId("production"), "Responses per second", perSecond, {
    stacked: true,
    colours: { "2xx": "var(--c0)", "3xx": "var(--c3)", "4xx": "var(--c2)", "5xx": "var(--c1)", "1xx": "var(--c5)" },
  }),
  latency: new Chart(byId("production"), "Latency, from request head to end of response", time),
  errors: new Chart(byId("production"), "Errors per second, by side and reason", perSecond, { stacked: true }),
};

function drawProduction(now, changed) {
  const latency = (q) => (changed ? changed.quantile(q, "mynah_request_duration_seconds") : NaN);
  tiles(byId("tiles"), [
    ["requests", changed ? perSecond(changed.rate("mynah_requests_total")) : "–"],
    ["errors", changed ? perSecond(changed.rate("mynah_errors_total")) : "–"],
    ["p50", time(latency(0.5))],
    ["p99", time(latency(0.99))],
    ["client connections", number(now.sum("mynah_connections"))],
    ["held for copies", bytes(now.sum("mynah_held_bytes"))],
  ]);
  if (!changed) return;
  production.rate.push(some(changed.rates("mynah_responses_total", "class")));
  production.latency.push(new Map([["p50", latency(0.5)], ["p99", latency(0.99)]]));
  const errors = new Map();
  for (const side of ["client", "upstream", "internal"]) {
    for (const [reason, rate] of some(changed.rates("mynah_errors_total", "reason", { side }))) {
      errors.set(`${side} ${reason}`, rate);
    }
  }
  production.errors.push(errors);
}

/** One mirror's part of the page. */
class Card {
  constructor(name) {
    this.name = name;
    this.labels = { mirror: name };
    this.root = byId("mirror").content.cloneNode(true).firstElementChild;
    const find = (selector) => this.root.querySelector(selector);
    [this.state, this.account, this.pause, this.form] = [".pill", ".account", ".pause", ".ratio"].map(find);
    [this.slider, this.field] = ["[type=range]", "[type=number]"].map(find);
    this.tiles = find(".tiles");
    find("h3").textContent = name;
    this.slider.setAttribute("aria-label", `Ratio of ${name}`);
    const path = `api/v1/mirrors/${encodeURIComponent(name)}`;
    // The slider is finer where little is copied: its square is the ratio.
    this.slider.addEventListener("input", () => (this.field.value = Number((this.slider.value ** 2 / 100).toPrecision(2))));
    this.field.addEventListener("input", () => (this.slider.value = Math.sqrt(this.field.value * 100)));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.form.classList.remove("changed");
      change("PUT", `${path}/ratio`, { ratio: `${Number(this.field.value)}%` });
    });
    for (const input of [this.slider, this.field]) {
      input.addEventListener("input", () => this.form.classList.add("changed"));
    }
    this.pause.addEventListener("click", () => change("POST", `${path}/${this.paused ? "resume" : "pause"}`));
    const charts = find(".charts");
    this.outcomes = new Chart(charts, "Copies per second, by outcome", perSecond, {
      stacked: true,
      colours: { delivered: "var(--c3)", failed: "var(--c1)", shed: "var(--c2)" },
    });
    this.shed = new Chart(charts, "Shed and failed per second, by reason", perSecond, { stacked: true });
    this.latency = new Chart(charts, "Latency of delivered copies", time);
    byId("mirrors").append(this.root);
  }

  draw(now, changed) {
    const sum = (metric, more) => now.sum(metric, { ...this.labels, ...more });
    const ratio = sum("mynah_mirror_ratio");
    this.paused = sum("mynah_mirror_paused") > 0;
    const breaker = sum("mynah_breaker_state");
    const [text, tone] = this.paused
      ? ["paused", "warn"]
      : [["copying", "good"], ["breaker open", "bad"], ["breaker half open", "warn"]][breaker] ?? ["copying", "good"];
    this.state.textContent = text;
    this.state.className = `pill ${tone}`;
    this.pause.textContent = this.paused ? "Resume" : "Pause";
    if (!this.form.classList.contains("changed") && !this.form.contains(document.activeElement)) {
      this.field.value = Number((ratio * 100).toFixed(4));
      this.slider.value = Math.sqrt(ratio * 100 * 100);
    }
    const outcomes = now.by("mynah_copies_total", "outcome", this.labels);
    const [delivered, failed, shed] = ["delivered", "failed", "shed"].map((outcome) => outcomes.get(outcome) ?? 0);
    this.account.textContent =
      `${number(sum("mynah_matched_requests_total"))} matched, ${number(sum("mynah_copies_started_total"))} copies = ` +
      `${number(delivered)} delivered + ${number(failed)} failed + ${number(shed)} shed` +
      ` + ${number(sum("mynah_copies_in_flight"))} in flight`;
    const entries = [
      ["ratio", percent(ratio)],
      ["copies", changed ? perSecond(changed.rate("mynah_copies_started_total", this.labels)) : "–"],
      ["in flight", number(sum("mynah_copies_in_flight"))],
      ["connections", number(sum("mynah_mirror_connections"))],
    ];
    if (now.has("mynah_mirror_effective_ratio", this.labels)) {
      entries.splice(1, 0, ["effective ratio", percent(sum("mynah_mirror_effective_ratio"))]);
    }
    tiles(this.tiles, entries);
    if (!changed) return;
    this.outcomes.push(changed.rates("mynah_copies_total", "outcome", this.labels));
    const reasons = changed.rates("mynah_copies_total", "reason", this.labels);
    reasons.delete("");
    this.shed.push(some(reasons));
    const latency = (q) => changed.quantile(q, "mynah_copy_duration_seconds", this.labels);
    this.latency.push(new Map([["p50", latency(0.5)], ["p99", latency(0.99)]]));
  }
}

const cards = new Map();

function drawMirrors(now, changed) {
  const names = now.all("mynah_mirror_ratio").map((sample) => sample.labels.mirror);
  for (const [name, card] of cards) {
    if (!names.includes(name)) {
      card.root.remove();
      cards.delete(name);
    }
  }
  if (names.length > 0) byId("mirrors").querySelector(":scope > .quiet")?.remove();
  for (const name of names) {
    if (!cards.has(name)) cards.set(name, new Card(name));
    cards.get(name).draw(now, changed);
  }
  const running = [...cards.values()].some((card) => !card.paused);
  byId("all").hidden = cards.size === 0;
  byId("all").textContent = running ? "Pause all copies" : "Resume all copies";
  byId("all").dataset.action = running ? "pause" : "resume";
}

let last = null;

async function refresh() {
  const state = byId("state");
  try {
    const [page, ready] = await Promise.all([fetch("metrics"), fetch("readyz")]);
    if (!page.ok) throw new Error(`metrics: ${page.status}`);
    const now = new Reading(await page.text());
    // A new process counts from nothing.
    const restarted = last && now.sum("mynah_requests_total") < last.sum("mynah_requests_total");
    const changed = last && !restarted && now.at > last.at ? new Change(last, now) : null;
    drawProduction(now, changed);
    drawMirrors(now, changed);
    byId("version").textContent = now.all("mynah_build_info")[0]?.labels.version ?? "";
    state.textContent = ready.ok ? "ready" : (await ready.text()).trim();
    state.className = `pill ${ready.ok ? "good" : "warn"}`;
    last = now;
  } catch (error) {
    state.textContent = "not reached";
    state.className = "pill bad";
    state.title = error.message;
  }
}

byId("all").addEventListener("click", () => change("POST", `api/v1/${byId("all").dataset.action}`));
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  byId("login").hidden = true;
  notice("");
});

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, INTERVAL);
}
run();
