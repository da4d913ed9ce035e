// Draws the timeline of a run on a canvas: a row for each task or worker, a bar for each span; waits are
// hatched, the critical path is marked. Drag or use the arrow keys to move, the wheel or + and - to zoom. The
// canvas is as high as what is seen; rows are fetched when they are scrolled to.

const ROW = 20, TOP = 22, SMALLEST = 0.05, MOST_HEIGHT = 560;
const KINDS = ["runs", "is_checked", "gate", "waits", "queued", "waits_to_retry"];

class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.view = this.stated();
    this.data = null;
    this.rows = new Map(); // by their numbers
    this.asked = new Set(); // the beginnings of the parts that were asked for
    this.frame = 0;
    this.all = canvas.parentElement;
    this.box = this.all.parentElement;
    this.box.addEventListener("scroll", () => this.drawSoon());
    for (const [name, heard] of Object.entries({
      wheel: (event) => this.onWheel(event),
      pointerdown: (event) => this.onDown(event),
      pointermove: (event) => this.onMove(event),
      pointerup: () => { this.dragged = null; this.remember(); },
      pointerleave: () => this.point(null),
      click: (event) => this.onClick(event),
      keydown: (event) => this.onKey(event),
    })) canvas.addEventListener(name, heard, { passive: false });
    new ResizeObserver(() => this.drawSoon()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawSoon());
  }

  // The window of time is part of the address, so that a link shows the same.
  stated() {
    const [begin, end] = (new URLSearchParams(location.search).get("window") || "").split("-").map(Number);
    return end > begin ? { begin, end } : null;
  }

  remember() {
    const address = new URL(location.href);
    if (this.view) address.searchParams.set("window", `${this.view.begin.toFixed(2)}-${this.view.end.toFixed(2)}`);
    else address.searchParams.delete("window");
    history.replaceState(null, "", address);
  }

  // Fetches the rows that are seen anew; those that were seen before are fetched when they are seen again.
  load() {
    this.asked.clear();
    return this.data ? this.fetchSeen() : this.fetchPart(0);
  }

  async fetchPart(start) {
    if (this.asked.has(start)) return;
    this.asked.add(start);
    const answer = await fetch(`${this.canvas.dataset.source}&start=${start}`).catch(() => null);
    if (!answer || !answer.ok) return;
    const found = this.data = await answer.json();
    found.rows.forEach((row, number) => this.rows.set(start + number, row));
    this.critical = new Set(found.critical_path);
    this.drawSoon();
  }

  fetchSeen() {
    const { limit, total } = this.data, { first, last } = this.seen();
    for (let start = first - (first % limit); start < Math.min(last, total); start += limit) this.fetchPart(start);
  }

  seen() {
    const first = Math.floor(this.box.scrollTop / ROW);
    return { first, last: Math.min(first + Math.ceil(this.box.clientHeight / ROW) + 1, this.data.total) };
  }

  get window() { return this.view || { begin: 0, end: Math.max(this.data.seconds, 1) }; }

  drawSoon() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(); }); }

  // The rows and bars that can be seen, and no others.
  draw() {
    if (!this.data) return;
    const { canvas, pen } = this, scale = devicePixelRatio || 1, style = getComputedStyle(canvas);
    const height = TOP + ROW * Math.max(this.data.total, 1), most = Math.min(height, MOST_HEIGHT);
    this.all.style.height = `${height}px`;
    this.box.style.maxHeight = `${most}px`;
    const width = this.all.clientWidth;
    canvas.style.height = `${most}px`;
    canvas.width = width * scale;
    canvas.height = most * scale;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.colours = Object.fromEntries([...KINDS, "text", "line", "mark"].map((name) =>
      [name, style.getPropertyValue(`--${name.replaceAll("_", "-")}`).trim()]));
    this.patterns = {};
    this.labels = Math.min(190, Math.round(width * 0.36));
    const { begin, end } = this.window, { first, last } = this.seen();
    this.toX = (second) => this.labels + ((second - begin) / (end - begin)) * (width - this.labels);
    this.toSecond = (x) => begin + ((x - this.labels) / (width - this.labels)) * (end - begin);
    this.drawAxis(width, most);
    pen.save();
    pen.beginPath();
    pen.rect(0, TOP, width, most - TOP);
    pen.clip();
    for (let number = first; number < last; number += 1) {
      const row = this.rows.get(number);
      if (row) this.drawRow(row, this.yOf(number), width);
    }
    pen.restore();
    this.fetchSeen();
  }

  yOf(number) { return TOP + number * ROW - this.box.scrollTop; }

  drawAxis(width, height) {
    const { begin, end } = this.window, wanted = (end - begin) / Math.max(2, Math.floor((width - this.labels) / 110));
    const power = 10 ** Math.floor(Math.log10(wanted));
    const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= wanted);
    this.pen.fillStyle = this.colours.text;
    this.pen.strokeStyle = this.colours.line;
    for (let second = Math.ceil(begin / step) * step; second <= end; second += step) {
      const x = Math.round(this.toX(second)) + 0.5;
      this.pen.beginPath();
      this.pen.moveTo(x, TOP - 4);
      this.pen.lineTo(x, height);
      this.pen.stroke();
      this.pen.fillText(duration(second), Math.min(x + 3, width - 40), TOP / 2);
    }
  }

  drawRow(row, y, width) {
    const { pen } = this, isCritical = this.critical.has(row.id);
    pen.save();
    pen.beginPath();
    pen.rect(this.labels, y, width - this.labels, ROW);
    pen.clip();
    for (const [from, to, kind] of row.spans) {
      const left = this.toX(from), right = this.toX(to ?? this.data.seconds);
      if (right < this.labels || left > width) continue;
      pen.fillStyle = this.fill(kind);
      pen.fillRect(left, y + 3, Math.max(right - left, 1), ROW - 6);
      if (isCritical) {
        pen.fillStyle = this.colours.mark;
        pen.fillRect(left, y + ROW - 3, Math.max(right - left, 1), 2);
      }
    }
    pen.restore();
    pen.fillStyle = this.colours.text;
    pen.fillText(fitted(pen, row.name, this.labels - 10), 2, y + ROW / 2);
  }

  fill(kind) {
    const colour = this.colours[kind];
    if (KINDS.indexOf(kind) < 3) return colour;
    return (this.patterns[kind] ||= hatched(this.pen, colour));
  }

  find(event) {
    if (!this.data || !this.toX) return null;
    const row = this.rows.get(Math.floor((event.offsetY - TOP + this.box.scrollTop) / ROW)), x = event.offsetX;
    if (!row || event.offsetY < TOP) return null;
    if (x < this.labels) return { row, span: null };
    const span = row.spans.find(([from, to]) =>
      this.toX(from) <= x + 1 && x - 1 <= Math.max(this.toX(to ?? this.data.seconds), this.toX(from) + 2));
    return { row, span };
  }

  point(found) {
    const place = document.getElementById("timeline-note");
    if (!place) return;
    const said = found && [found.row.name, found.span && sentence(found.span, this.data)].filter(Boolean).join(": ");
    place.textContent = said || place.dataset.empty;
    this.canvas.classList.toggle("on-bar", Boolean(found));
  }

  zoom(factor, around) {
    const { begin, end } = this.window, whole = Math.max(this.data.seconds, 1);
    const span = Math.min(Math.max((end - begin) * factor, SMALLEST), whole);
    const from = Math.min(Math.max(around - (around - begin) * (span / (end - begin)), 0), whole - span);
    this.view = span >= whole ? null : { begin: from, end: from + span };
    this.drawSoon();
  }

  shift(seconds) {
    if (!this.view) return;
    const { begin, end } = this.view, whole = Math.max(this.data.seconds, 1);
    const by = Math.min(Math.max(seconds, -begin), whole - end);
    this.view = { begin: begin + by, end: end + by };
    this.drawSoon();
  }

  onWheel(event) {
    if (!this.data || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.toSecond(event.offsetX));
    this.remember();
  }

  onDown(event) { this.dragged = { x: event.offsetX, moved: 0 }; }

  onMove(event) {
    if (!this.dragged || !event.buttons) return this.point(this.find(event));
    const by = this.toSecond(this.dragged.x) - this.toSecond(event.offsetX);
    this.dragged = { x: event.offsetX, moved: this.dragged.moved + Math.abs(event.movementX) };
    this.wasDragged = this.dragged.moved > 4;
    this.shift(by);
  }

  onClick(event) {
    const found = this.find(event), moved = this.wasDragged;
    this.wasDragged = false;
    if (!found || moved) return;
    location.href = `/go/${found.span?.[4] || found.row.id}`;
  }

  onKey(event) {
    if (!this.data) return;
    const { begin, end } = this.window, middle = (begin + end) / 2, tenth = (end - begin) / 10;
    const known = {
      "+": () => this.zoom(0.7, middle), "-": () => this.zoom(1.4, middle),
      ArrowLeft: () => this.shift(-tenth), ArrowRight: () => this.shift(tenth),
      0: () => { this.view = null; this.drawSoon(); },
    }[event.key];
    if (!known) return;
    event.preventDefault();
    known();
    this.remember();
  }
}

function sentence([from, to, kind, label], data) {
  const took = duration((to ?? data.seconds) - from), how = kind.replaceAll("_", " ");
  return `${how} ${took}${to === null ? " so far" : ""}${label && !/^(for|because) /.test(label) ? "," : ""} ${label}`;
}

function duration(seconds) {
  if (seconds < 10) return `${Math.round(seconds * 100) / 100}s`;
  if (seconds < 60) return `${Math.round(seconds)}s`;
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours}h${minutes % 60}m` : `${minutes}m${Math.round(seconds % 60)}s`;
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && pen.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return `${text.slice(0, length)}…`;
}

function hatched(pen, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const inside = tile.getContext("2d");
  inside.strokeStyle = colour;
  inside.lineWidth = 1.5;
  inside.beginPath();
  for (const x of [-6, 0, 6]) {
    inside.moveTo(x, 6);
    inside.lineTo(x + 6, 0);
  }
  inside.stroke();
  return pen.createPattern(tile, "repeat");
}

for (const canvas of document.querySelectorAll("canvas[data-source]")) {
  const timeline = new Timeline(canvas);
  timeline.load();
  let isDue = false;
  document.addEventListener("maingate:refreshed", () => {
    if (isDue || timeline.data?.is_over) return;
    isDue = true;
    setTimeout(() => { isDue = false; timeline.load(); }, 1000);
  });
}
