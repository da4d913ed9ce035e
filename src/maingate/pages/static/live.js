// Keeps a page as it is on the server: fetched again when something happened, and merged into what is shown,
// so that focus, scroll position, open folds and what is being typed stay. Without it the page is the same.

const PAUSE = 400; // milliseconds between two fetches at least; longer where the server takes long
let fetching = false, wanted = false, timer = 0, pause = PAUSE;

function refreshSoon() {
  wanted = true;
  if (!timer && !fetching && !document.hidden) timer = setTimeout(refresh, pause);
}

async function refresh() {
  timer = 0;
  if (fetching) return;
  fetching = true;
  wanted = false;
  const begun = performance.now(), address = location.href;
  try {
    const page = await fetched(address);
    if (address === location.href) merge(document.querySelector("main"), page.querySelector("main"));
    document.title = page.title;
    document.dispatchEvent(new Event("maingate:refreshed"));
    say("live");
  } catch {
    say("lost");
  } finally {
    fetching = false;
    pause = Math.max(PAUSE, performance.now() - begun);
    if (wanted) refreshSoon();
  }
}

async function fetched(address, part = "") {
  const answer = await fetch(address, { headers: { Accept: "text/html", "Maingate-Part": part } });
  if (answer.redirected) location.reload(); // the session has ended: the login comes
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// A link or search that changes a part of its own page fetches that part alone; without scripts it leads to the page.
async function showPart(address, name) {
  const shown = document.getElementById(name), seen = new URLSearchParams(location.search).get("window");
  if (seen && name !== "content") address.searchParams.set("window", seen); // the part of the timeline stays
  try {
    const page = await fetched(address, name), next = document.createElement(shown.tagName);
    next.append(...(page.getElementById(name) || page.body).childNodes);
    for (const { name: key, value } of shown.attributes) next.setAttribute(key, value);
    history.pushState(null, "", address);
    merge(shown, next);
    if (address.hash) shown.scrollIntoView({ block: "nearest" });
    document.dispatchEvent(new Event("maingate:refreshed"));
  } catch {
    location.href = address;
  }
}

function ownPart(event, element, address) {
  const name = element?.dataset.part;
  if (!name || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
  event.preventDefault();
  showPart(address(), name);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-part]");
  ownPart(event, link, () => new URL(link.getAttribute("href"), location.href));
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-part]");
  ownPart(event, form, () => new URL(`?${new URLSearchParams(new FormData(form))}`, location.href));
});
addEventListener("popstate", () => refresh());

// Makes a shown element equal to a fetched one. Children are matched by id, else by place and tag.
function merge(shown, fetched) {
  if (!shown || !fetched || shown.isEqualNode(fetched) || shown.hasAttribute("data-keep")) return;
  mergeAttributes(shown, fetched);
  const byId = new Map([...shown.children].filter((each) => each.id).map((each) => [each.id, each]));
  const kept = new Set([...fetched.children].map((each) => each.id));
  for (const [id, element] of byId) if (!kept.has(id)) element.remove(); // so that those that stay are not moved
  let place = shown.firstChild;
  for (const next of [...fetched.childNodes]) {
    const known = next.id ? byId.get(next.id) : null;
    if (known && known !== place) shown.insertBefore(known, place);
    const here = known || place;
    if (here && isSame(here, next)) {
      place = here.nextSibling;
      if (here.nodeType === Node.ELEMENT_NODE) merge(here, next);
      else if (here.data !== next.data) here.data = next.data;
    } else {
      shown.insertBefore(document.importNode(next, true), place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function isSame(shown, fetched) {
  return shown.nodeType === fetched.nodeType && shown.nodeName === fetched.nodeName &&
    (shown.id || "") === (fetched.id || "");
}

function mergeAttributes(shown, fetched) {
  for (const { name, value } of [...fetched.attributes])
    if (shown.getAttribute(name) !== value && !isOurs(shown, name)) shown.setAttribute(name, value);
  for (const { name } of [...shown.attributes])
    if (!fetched.hasAttribute(name) && !isOurs(shown, name)) shown.removeAttribute(name);
}

// What a reader has changed is not changed back: an open fold, a value, the chosen row.
function isOurs(element, name) {
  return (element.nodeName === "DETAILS" && name === "open") || name === "value" || name === "aria-current";
}

function say(state) {
  const place = document.getElementById("connection");
  if (!place || place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = { live: "live", lost: "reconnecting …" }[state];
}

// Follows the events of each repository. The place of the last event goes along, so that none is missed, and a
// hidden page gives its connections back: browsers keep few of them.
class Listener {
  constructor(address, types) {
    this.address = address;
    this.types = types;
    this.place = "";
    this.open();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.open());
  }

  open() {
    if (this.source || document.hidden) return;
    const source = this.source = new EventSource(this.address + (this.place && `&after=${this.place}`));
    source.onopen = () => { say("live"); refreshSoon(); };
    for (const type of this.types) source.addEventListener(type, (event) => this.onEvent(event));
    source.onerror = () => {
      say("lost");
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      this.close();
      setTimeout(() => this.open(), 3000);
    };
  }

  onEvent(event) {
    this.place = event.lastEventId || this.place;
    refreshSoon();
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}

function listen() {
  const { events = "", types = "" } = document.body.dataset;
  for (const address of events.split(" ").filter(Boolean)) new Listener(address, types.split(" "));
}

// -- what changes without an event: a queue is looked at again -----------------------------------------------

setInterval(() => document.querySelector("main [data-again]") && refreshSoon(), 1000);

// -- logs that grow ------------------------------------------------------------------------------------------

function followLogs() {
  for (const place of document.querySelectorAll("pre[data-log]:not([data-followed])")) {
    place.dataset.followed = "";
    place.scrollTop = place.scrollHeight;
    if (isRunning(place)) follow(place, Number(place.dataset.from || 0));
  }
}

const isRunning = (place) => place.closest("[data-state]")?.dataset.state === "RUNNING";

async function follow(place, from) {
  const decoder = new TextDecoder();
  for (let rest = 2; rest && place.isConnected; ) {
    if (!isRunning(place)) rest -= 1; // once more, for what was printed last
    const isAtEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
    const answer = await fetch(place.dataset.log, { headers: { Range: `bytes=${from}-` } }).catch(() => null);
    if (answer?.status === 206) {
      const bytes = await answer.arrayBuffer();
      from += bytes.byteLength;
      place.append(printable(decoder.decode(bytes, { stream: true })));
      if (isAtEnd) place.scrollTop = place.scrollHeight;
    }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

// As the server does with the beginning: no escape sequences, and nothing that takes effect without being seen.
function printable(text) {
  return text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, "").replace(/\r\n/g, "\n")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, "\ufffd");
}

// -- keys ----------------------------------------------------------------------------------------------------

function rows() {
  return [...document.querySelectorAll("main [data-row]")].filter((each) => each.offsetParent !== null);
}

function move(by) {
  const all = rows(), now = all.findIndex((each) => each.getAttribute("aria-current") === "true");
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  if (!next) return;
  if (now >= 0) all[now].removeAttribute("aria-current");
  next.setAttribute("aria-current", "true");
  next.scrollIntoView({ block: "nearest" });
  (next.querySelector("a, summary, button") || next).focus({ preventScroll: true });
}

const KEYS = {
  Enter: () => document.querySelector("main [data-row][aria-current=true] a")?.click(),
  j: () => move(1),
  k: () => move(-1),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  const isPressing = event.key === "Enter" && event.target.closest?.("a, button, summary");
  if (isTyping || isPressing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("button[data-copy]");
  if (!copy) return;
  await navigator.clipboard.writeText(copy.dataset.copy);
  copy.dataset.done = "";
  setTimeout(() => delete copy.dataset.done, 1500);
});

// The field of a decision is ready to be typed in: keys would otherwise go through the rows behind it.
document.addEventListener("toggle", ({ target }) => {
  if (target.open && target.matches("details.act")) target.querySelector("input:not([type=hidden]), button").focus();
}, true);

document.addEventListener("maingate:refreshed", followLogs);
followLogs();
listen();
