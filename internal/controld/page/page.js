// The page of a running keepalived. It reads /v1/status and its like, and follows
// /v1/events. Text of the daemon comes into the document as text, never as markup.
"use strict";

const day = 24 * 3600 * 1000;
const shownAtFirst = 40; // rows of a list; the others are behind a button, and found by the search
const leastPause = 1000; // milliseconds between two refreshes
const longestPause = 15000;
const patience = 10000; // milliseconds for an answer

const model = { skew: 0, status: null, problems: [], history: [], search: "", limits: {}, open: new Set(), reasons: new Map(), past: new Map() };

// Elements

function el(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

function svg(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const kinds = { MASTER: "good", BACKUP: "wait", FAULT: "bad", up: "good", down: "bad", Up: "good", Down: "bad", runs: "good", missing: "bad", CRITICAL: "bad", WARNING: "warn", refused: "bad", ended: "bad", drains: "warn", disabled: "warn" };

function badge(state) {
  return el("span", { className: "state " + (kinds[state] || "idle") }, state);
}

function mono(text) {
  return el("code", {}, text);
}

// now is the time of the node, whose clock may differ from that of the browser.
function now() {
  return Date.now() + model.skew;
}

// ago is a moment as its distance from now, which tick keeps right.
function ago(at) {
  if (!at) return "";
  const e = el("time", { dateTime: at, title: new Date(at).toLocaleString() });
  e.textContent = age(now() - Date.parse(at));
  return e;
}

function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 2 * 86400) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

function counted(n, what) {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

// table is a table; on a phone each cell stands under the other with its heading.
function table(headings, rows) {
  const head = el("tr", {}, ...headings.map((h) => el("th", { scope: "col" }, h)));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell, i) => {
    const td = el("td", {}, ...[cell].flat());
    td.dataset.label = typeof headings[i] === "string" ? headings[i] : headings[i].dataset.label;
    if (typeof cell === "number") td.className = "number";
    return td;
  })));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

// Sections

// list is the part of a list that is shown: what the search finds, up to a limit.
function list(id, all, text) {
  const found = model.search ? all.filter((x) => text(x).toLowerCase().includes(model.search)) : all;
  const limit = model.limits[id] || shownAtFirst;
  return { shown: found.slice(0, limit), found: found.length, all: all.length, more: found.length - limit };
}

function section(id, title, l, content, none) {
  const count = l.found === l.all ? l.all : l.found + " of " + l.all;
  const card = el("div", { className: "card" }, l.shown.length ? content : el("p", { className: "none" }, model.search && l.all ? "The search finds none." : none));
  if (l.more > 0) card.append(moreButton(id, l.more));
  return el("section", { id }, el("h2", {}, title + " ", l.all ? el("small", {}, String(count)) : ""), card);
}

function moreButton(id, left) {
  const button = el("button", { className: "more", type: "button", id: "more-" + id }, `Show ${Math.min(left, 100)} of ${left} more`);
  button.addEventListener("click", () => {
    model.limits[id] = (model.limits[id] || shownAtFirst) + 100;
    render();
  });
  return button;
}

function problems() {
  const l = list("problems", model.problems, (p) => p.subject + " " + p.text);
  const rows = l.shown.map((p) => el("div", { className: "problem" }, badge(p.severity), el("span", {}, p.text)));
  return section("problems", "Problems", l, el("div", {}, ...rows), "Nothing is wrong.");
}

function routers() {
  return (model.status.vrrp && model.status.vrrp.instances) || [];
}

// server is who serves the addresses of a router now.
function server(router) {
  if (model.status.vrrp.stale) return el("span", { className: "state warn" }, "not known: " + model.status.vrrp.stale);
  if (router.state === "MASTER") return el("span", { className: "state good" }, "this node");
  if (router.master) return el("span", { className: "state wait" }, router.master.address + ", priority " + router.master.priority);
  return el("span", { className: "state bad" }, "no node is known");
}

function addresses() {
  const all = routers().flatMap((r) => r.addresses.map((a) => ({ r, a })));
  const l = list("addresses", all, ({ r, a }) => [a.address, a.interface, r.name, r.state, r.master ? r.master.address : ""].join(" "));
  const lines = new Map();
  const rows = l.shown.map(({ r, a }) => {
    if (!lines.has(r)) lines.set(r, spans(pastOf("router", r.name), r.state, r.since));
    return [el("span", { className: "address" }, a.address), server(r), [link(r), " ", badge(r.state)], ago(r.since), drawn(lines.get(r)), kernel(r, a)];
  });
  return section("addresses", "Addresses", l, table(["Address", "Served by", "Virtual router", "For", hours(), "Interface"], rows), "There is no virtual address.");
}

function kernel(r, a) {
  if (!r.held || a.set) return a.interface;
  return [a.interface + " ", el("span", { className: "state bad" }, "not set in the kernel")];
}

function link(router) {
  const a = el("a", { href: "#routers" }, router.name);
  a.addEventListener("click", () => {
    model.open.add(router.name);
    find(router.name);
    plan(0);
  });
  return a;
}

function find(text) {
  document.getElementById("search").value = text;
  model.search = text.toLowerCase();
  render();
}

// The last day

// pastOf are the events of something, the earliest first.
function pastOf(kind, name) {
  return model.past.get(kind + " " + name) || [];
}

// spans are the states of something in the last day, from events of its own. Without any it
// has been in its state all the time, or since it has entered that.
function spans(all, state, since) {
  const end = Date.parse(model.status.at), begin = end - day;
  const events = all.filter((e) => Date.parse(e.at) > begin);
  const out = [];
  let at = begin;
  if (events.length) state = events[0].from;
  else if (since) at = Math.max(begin, Date.parse(since));
  for (const e of events) {
    out.push({ from: at, to: Date.parse(e.at), state });
    at = Date.parse(e.at);
    state = e.to;
  }
  out.push({ from: at, to: end, state });
  return out.filter((s) => s.to > s.from).map((s) => ({ ...s, x: (s.from - begin) / day * 1000, width: Math.max(2, (s.to - s.from) / day * 1000) }));
}

// drawn is a line of spans. A state is told from others by its height, a fault by stripes.
function drawn(list) {
  const sums = {};
  for (const s of list) sums[s.state || "not known"] = (sums[s.state || "not known"] || 0) + s.to - s.from;
  const words = Object.entries(sums).map(([state, ms]) => state + " " + age(ms)).join(", ") + `; ${list.length - 1} changes`;
  const line = svg("svg", { class: "line", viewBox: "0 0 1000 18", preserveAspectRatio: "none", role: "img", "aria-label": words });
  line.append(svg("title", {}, words), svg("rect", { class: "idle", x: 0, y: 8, width: 1000, height: 2 }));
  for (const s of list) {
    const kind = kinds[s.state] || "idle";
    const height = { good: 18, bad: 18, wait: 8, idle: 2 }[kind];
    line.append(svg("rect", { class: kind, x: s.x, y: (18 - height) / 2, width: s.width, height }));
    for (let x = s.x + 6; kind === "bad" && x < s.x + s.width - 2; x += 10) line.append(svg("line", { class: "stripe", x1: x, y1: 0, x2: x, y2: 18 }));
  }
  return line;
}

// lastDay is the line of something that has events.
function lastDay(kind, name, state, since) {
  return drawn(spans(pastOf(kind, name), state, since));
}

// reports is the last day of a tracker: a line of its states, or a curve of its numbers. It
// keeps its last reports alone; the time before them is not known.
function reports(t) {
  const all = t.history || [];
  if (all.length && all[0].number !== undefined) return curve(all);
  return drawn(spans(all.map((r, i) => ({ at: r.at, from: i ? all[i - 1].state : "", to: r.state })), t.state, t.reported));
}

// curve is how a number has changed in the last day.
function curve(all) {
  const end = Date.parse(model.status.at), begin = end - day;
  const numbers = all.map((r) => r.number);
  const least = Math.min(0, ...numbers), most = Math.max(1, ...numbers);
  const x = (at) => Math.round(Math.max(0, (Date.parse(at) - begin) / day * 1000)), y = (n) => 16 - 14 * (n - least) / (most - least);
  const points = all.flatMap((r, i) => [[x(r.at), y(r.number)], [x(i + 1 < all.length ? all[i + 1].at : model.status.at), y(r.number)]]);
  const words = `${numbers[numbers.length - 1]} now; ${Math.min(...numbers)} to ${Math.max(...numbers)}, ${all.length - 1} changes`;
  return svg("svg", { class: "line", viewBox: "0 0 1000 18", preserveAspectRatio: "none", role: "img", "aria-label": words },
    svg("title", {}, words), svg("polyline", { class: "curve", points: points.map((p) => p.join(",")).join(" ") }));
}

// hours is the heading of a column of last days.
function hours() {
  const e = el("span", { className: "hours" }, el("span", {}, "24 h ago"), el("span", {}, "now"));
  e.dataset.label = "Last day";
  return e;
}

// Virtual routers

function routersSection() {
  const l = list("routers", routers(), (r) => [r.name, r.state, r.interface, r.group, "vrid " + r.vrid, ...r.addresses.map((a) => a.address)].join(" "));
  return section("routers", "Virtual routers", l, el("div", {}, ...l.shown.map(routerDetails)), "There is no virtual router.");
}

function routerDetails(r) {
  const d = el("details", { id: "router-" + r.name, open: model.open.has(r.name) },
    el("summary", { id: "summary-" + r.name }, el("b", {}, r.name), badge(r.state), el("span", {}, "priority " + r.priority.effective),
      el("span", { className: "faint" }, `VRID ${r.vrid}, VRRPv${r.version}${r.interface ? ", " + r.interface : ""}${r.group ? ", group " + r.group : ""}`)));
  d.addEventListener("toggle", () => {
    if (d.open === model.open.has(r.name)) return;
    d.open ? model.open.add(r.name) : model.open.delete(r.name);
    render();
    plan(0); // with the reasons
  });
  if (d.open) d.append(inside(r));
  return d;
}

function inside(r) {
  const box = el("div", { className: "inside" });
  const reasons = model.reasons.get(r.name);
  box.append(el("h3", {}, "Why"), el("ul", {}, ...(reasons || ["…"]).map((text) => el("li", {}, text))));
  box.append(el("h3", {}, "Priority"), el("p", {}, mono(r.priority.arithmetic || String(r.priority.effective)), r.priority.owner ? " owner of the addresses" : r.priority.arithmetic ? "" : " as configured"));
  if (r.trackers) box.append(el("h3", {}, "Trackers"), table(["Name", "State", "Weight", "Result", "For"], r.trackers.map(trackerRow)));
  return box;
}

function trackerRow(t) {
  return [[t.name + " ", el("span", { className: "faint" }, t.kind.replace("track_", ""))], badge(t.state), t.weight === 0 || t.weight === undefined ? "fault" : String(t.weight) + (t.reverse ? ", reversed" : ""), t.detail || "", ago(t.reported)];
}

// Other sections

function trackers() {
  const all = (model.status.vrrp && model.status.vrrp.trackers) || [];
  const l = list("trackers", all, (t) => [t.name, t.kind, t.state, t.detail].join(" "));
  const rows = l.shown.map((t) => [[t.name + " ", el("span", { className: "faint" }, t.kind.replace("track_", ""))], badge(t.state), t.detail || (t.number === undefined ? "" : String(t.number)), ago(t.reported), reports(t), counted((t.users || []).length, "router")]);
  return section("trackers", "Trackers", l, table(["Name", "State", "Result", "Reported", hours(), "Used by"], rows), "There is no tracker.");
}

function pools() {
  const all = (model.status.lvs && model.status.lvs.virtual_servers) || [];
  const l = list("pools", all, (v) => [v.name, v.up ? "up" : "down", ...v.real_servers.map((s) => s.name)].join(" "));
  return section("pools", "Pools", l, el("div", {}, ...l.shown.map(pool)), "There is no virtual server.");
}

function pool(v) {
  const id = "pool " + v.name;
  const d = el("details", { open: !model.open.has(id) },
    el("summary", { id: "summary-" + id }, el("b", {}, v.name), badge(v.up ? "up" : "down"), el("span", {}, `${v.alive} of ${v.real_servers.length} servers up`),
      el("span", { className: "faint" }, `weight ${v.weight}, quorum ${v.quorum}, ${v.scheduler}${v.suspended ? ", checks suspended" : ""}${v.sorry_server_in_use ? ", sorry server " + v.sorry_server + " in use" : ""}`)));
  d.addEventListener("toggle", () => {
    if (d.open !== model.open.has(id)) return;
    d.open ? model.open.delete(id) : model.open.add(id);
    render();
  });
  if (d.open) d.append(table(["Server", "State", "For", hours(), "Weight", "Checks", "Latency"], v.real_servers.slice(0, shownAtFirst).map((s) => serverRow(v, s))));
  if (d.open && v.real_servers.length > shownAtFirst) d.append(el("p", { className: "none" }, `${v.real_servers.length - shownAtFirst} more servers; keepalived servers lists all`));
  return d;
}

function serverRow(v, s) {
  const each = (make) => (s.checks || []).flatMap((c, i) => [i ? el("br") : "", make(c)].flat());
  const checks = each((c) => [badge(c.state), ` ${c.kind}${c.last_reason ? ": " + c.last_reason : ""} `, c.last ? el("span", { className: "faint" }, ago(c.last), " ago") : ""]);
  const state = s.up ? "up" : "down";
  const order = (s.intents || []).at(-1) || {}; // the last one counts
  const shown = order.kind === "disable" ? "disabled" : order.kind === "drain" && s.up ? "drains" : state;
  return [mono(s.name), badge(shown), ago(s.since), lastDay("server", v.name + " " + s.name, state, s.since), s.weight, checks.length ? checks : "none", each((c) => [c.last_duration ? (c.last_duration * 1000).toPrecision(3) + " ms" : ""])];
}

function bfd() {
  const b = model.status.bfd || {};
  const l = list("bfd", b.sessions || [], (s) => [s.name, s.neighbour, s.state, s.remote_state, s.diagnostic].join(" "));
  const rows = l.shown.map((s) => {
    const state = b.stale || s.unknown ? "unknown" : s.state;
    return [s.name, badge(state), mono(s.neighbour), s.heard ? [ago(s.heard), " ago"] : "never", lastDay("session", s.name, state), `${milliseconds(s.detection_time)}, sent each ${milliseconds(s.tx_interval)}`, reasonOf(s)];
  });
  return section("bfd", "BFD", l, table(["Session", "State", "Neighbour", "Heard", hours(), "Detection", "Reason"], rows), "There is no BFD session.");
}

function milliseconds(seconds) {
  return Math.round(seconds * 1000) + " ms";
}

// reasonOf is why a session is not up, or has not been, as both sides see it.
function reasonOf(s) {
  const none = "No Diagnostic";
  const own = s.diagnostic && s.diagnostic !== none ? s.diagnostic : "";
  const other = s.remote_diagnostic && s.remote_diagnostic !== none ? "neighbour: " + s.remote_diagnostic : "";
  return [own, other, s.send_error ? "the last packet could not be sent" : ""].filter(Boolean).join("; ");
}

function peers() {
  const l = list("peers", routers().filter((r) => r.master || r.peers || r.rejected), (r) => [r.name, r.master ? r.master.address : "", ...(r.peers || [])].join(" "));
  const rows = l.shown.map((r) => [r.name, r.master ? mono(`${r.master.address}, priority ${r.master.priority}`) : r.state === "MASTER" ? "this node" : "none is heard", (r.peers || ["multicast"]).join(", "),
    Object.entries(r.rejected || {}).map(([why, n]) => `${why} ${n}`).join(", ")]);
  return section("peers", "Neighbours", l, table(["Virtual router", "Master", "Peers", "Dropped packets"], rows), "No other node is known.");
}

function history() {
  const all = model.history.slice().reverse();
  const l = list("history", all, (e) => [e.name, e.kind, e.from, e.to, e.cause, e.why].join(" "));
  const rows = l.shown.map((e) => [el("time", { dateTime: e.at }, new Date(e.at).toLocaleString()), [e.name + " ", el("span", { className: "faint" }, e.kind)], [e.from ? e.from + " → " : "", badge(e.to)], e.why || e.cause || ""]);
  return section("history", "History", l, table(["Time", "What", "Change", "Cause"], rows), "Nothing has happened.");
}

function processes() {
  const all = model.status.processes.filter((p) => p.wanted);
  const l = list("processes", all, (p) => p.name);
  const rows = l.shown.map((p) => [p.name, badge(p.serves ? "runs" : "missing"), ago(p.started), p.pid || "", p.deaths || 0, lateness(loopOf(p.name))]);
  return section("processes", "Processes", l, table(["Process", "State", "For", "PID", "Deaths", "Timers late"], rows), "No process is wanted.");
}

// loopOf is how well the loop of a process keeps time, if that is known.
function loopOf(process) {
  const answer = model.status[{ vrrp: "vrrp", checkers: "lvs", bfd: "bfd" }[process]];
  return answer && !answer.stale ? answer.loop : null;
}

// lateness is a plot of how late timers, such as those of adverts, have expired: a bar for
// each bound, its height by the logarithm of the number.
function lateness(loop) {
  if (!loop || !loop.lateness) return "";
  const most = Math.log1p(Math.max(...loop.lateness.map((b) => b.turns), 1));
  const text = loop.lateness.map((b) => `${b.below ? "below " + b.below * 1000 + " ms" : "later"}: ${b.turns}`).join(", ");
  const bars = loop.lateness.map((b, i) => {
    const height = 18 * Math.log1p(b.turns) / most;
    return svg("rect", { x: i * 10, y: 18 - height, width: 8, height, class: b.below && b.below <= 0.01 ? "good" : "bad" });
  });
  const plot = svg("svg", { viewBox: `0 0 ${loop.lateness.length * 10} 18`, class: "lateness", role: "img", "aria-label": text }, ...bars);
  plot.append(svg("title", {}, text));
  return el("span", {}, plot, ` at most ${Math.round(loop.latest_timer * 10000) / 10} ms`);
}

const sections = { problems, addresses, routers: routersSection, pools, trackers, bfd, peers, history, processes };

// Rendering

function render() {
  if (!model.status) return;
  const focus = document.activeElement && document.activeElement.id;
  const host = model.status.node.host;
  document.title = (model.problems.length ? `(${model.problems.length}) ` : "") + host + " – keepalived";
  document.getElementById("host").textContent = `${host} ${model.status.node.instance || ""}`;
  const summary = document.getElementById("summary");
  const worst = model.problems.length ? model.problems[0].severity : "";
  summary.className = "state " + (kinds[worst] || "good");
  summary.textContent = model.problems.length ? counted(model.problems.length, "problem") : "nothing is wrong";
  document.querySelector("main").replaceChildren(...Object.values(sections).map((make) => make()));
  const again = focus && document.getElementById(focus);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
}

function tick() {
  for (const e of document.querySelectorAll("time[title]")) e.textContent = age(now() - Date.parse(e.dateTime));
}

// live shows whether what is on the page is of now.
function live(since) {
  const e = document.getElementById("live");
  const text = since ? "stale since " + since.toLocaleTimeString() : "live";
  if (e.textContent !== text) e.textContent = text;
  e.classList.toggle("stale", Boolean(since));
  document.body.classList.toggle("stale", Boolean(since));
}

// Reading

// connection is how reading goes: when it last did, whether events come, whether some may be
// missing, those that are not in the model yet, and the pace in milliseconds.
const connection = { read: null, stream: false, gap: true, events: [], busy: false, again: false, timer: 0, due: 0, least: 0, ended: 0 };

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(patience) });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}

async function refresh() {
  connection.timer = 0;
  if (connection.busy) {
    connection.again = true;
    return;
  }
  connection.busy = true;
  connection.again = false;
  const begun = Date.now();
  let failed = false;
  try {
    await read();
    connection.read = new Date();
  } catch (e) {
    failed = true;
  }
  connection.busy = false;
  connection.ended = Date.now();
  connection.least = Math.max(leastPause, 10 * (connection.ended - begun)); // a large daemon is asked less often
  live(connection.stream && !failed ? null : connection.read || new Date());
  plan(failed ? 2000 : connection.again ? 0 : longestPause);
}

// plan plans the next refresh in that many milliseconds, or as soon as the pace allows. What
// is planned for an earlier time stays.
function plan(wait) {
  const due = Math.max(Date.now() + wait, connection.ended + connection.least);
  if (connection.timer && connection.due <= due) return;
  clearTimeout(connection.timer);
  connection.due = due;
  connection.timer = setTimeout(refresh, due - Date.now());
}

async function read() {
  const [status, problems] = await Promise.all([get("v1/status"), get("v1/problems")]);
  model.skew = Date.parse(status.at) - Date.now();
  if (connection.gap) merge(await get("v1/history?since=" + encodeURIComponent(new Date(now() - day).toISOString())));
  connection.gap = false;
  merge(connection.events.splice(0));
  model.status = status;
  model.problems = problems;
  await explain();
  render();
}

// explain reads why the routers that are open are in their state.
async function explain() {
  const names = routers().map((r) => r.name).filter((name) => model.open.has(name)).slice(0, 10);
  for (const name of names) model.reasons.set(name, (await get("v1/instances/" + encodeURIComponent(name) + "/explain")).sentences.map((s) => s.text));
}

// merge adds events, each once, and forgets those of more than a day ago.
function merge(events) {
  const known = new Set(model.history.map((e) => e.id));
  model.history = model.history.concat(events.filter((e) => !known.has(e.id))).filter((e) => Date.parse(e.at) > now() - day).sort((a, b) => a.id - b.id);
  model.past = Map.groupBy(model.history, (e) => e.kind + " " + e.name);
}

function follow() {
  const source = new EventSource("v1/events");
  source.onopen = () => {
    connection.stream = connection.gap = true;
    plan(0);
  };
  source.onerror = () => {
    connection.stream = false;
    live(connection.read || new Date());
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
  for (const kind of ["router", "service", "server", "session", "process", "configuration", "act", "notice"]) {
    source.addEventListener(kind, (message) => {
      connection.events.push(JSON.parse(message.data));
      plan(0);
    });
  }
}

// Keys

// keys are / for the search, and Escape for the end of it.
function keys(event) {
  const search = document.getElementById("search");
  if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault(); // some browsers have a search of their own there
    if (event.type === "keyup") search.focus();
  } else if (event.key === "Escape" && document.activeElement === search) {
    find("");
  }
}

function begin() {
  const titles = { problems: "Problems", addresses: "Addresses", routers: "Virtual routers", pools: "Pools", trackers: "Trackers", bfd: "BFD", peers: "Neighbours", history: "History", processes: "Processes" };
  document.querySelector("nav").append(...Object.entries(titles).map(([id, title]) => el("a", { href: "#" + id }, title)));
  document.getElementById("search").addEventListener("input", (e) => {
    model.search = e.target.value.toLowerCase();
    render();
  });
  document.getElementById("find").addEventListener("submit", (e) => e.preventDefault());
  document.addEventListener("keydown", keys);
  document.addEventListener("keyup", keys);
  setInterval(tick, 1000);
  follow();
  refresh();
}

begin();
