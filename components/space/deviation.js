// The deviation map: one square a cell, the cells of one module in lines beside its name. Names
// come from outside: they are written as text, never as markup.
const LARGEST = 34, SMALLEST = 6, TALLEST = 560, GAP = 6, SHADES = 64;
const MARKED_FROM = 9, ENOUGH = 16, LABEL_SHARE = 0.3;

function make(tag, name, parent, text) {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function told({ unit, decimals }, x, sign) {
  if (!Number.isFinite(x)) return "no data";
  const size = Math.abs(x).toFixed(decimals);
  const before = Number(size) === 0 ? "" : x < 0 ? "\u2212" : sign ? "+" : "";
  return `${before}${size} ${unit}`;
}

// The greatest squares with which all blocks fit, a block in one line as long as its squares are
// large enough; higher than TALLEST only where they must be.
function arrange(groups, width, label) {
  const most = Math.max(...groups.map((group) => group.count));
  let best = null;
  for (let across = 1; across <= Math.min(groups.length, 16); across += 1) {
    const room = (width - GAP * (across - 1)) / across - label;
    for (let lines = 1; lines <= most; lines += 1) {
      const columns = Math.ceil(most / lines);
      const size = Math.min(LARGEST, Math.floor(room / columns));
      if (size < SMALLEST && columns > 1) continue;
      const block = lines * Math.max(size, 1) + GAP;
      const height = Math.ceil(groups.length / across) * block;
      const worth = height <= TALLEST ? Math.min(size, ENOUGH) + size / 100 - 3 * (lines > 1) - (across > 1)
        : -height;
      if (size > 0 && (!best || worth > best.worth)) {
        best = { worth, across, lines, columns, size, height, label, block,
                 stride: label + columns * size + GAP };
      }
      if (size === LARGEST) break;
    }
  }
  return best;
}

function places(root) {
  const { plan, meta } = root;
  root.x = new Float32Array(meta.count);
  root.y = new Float32Array(meta.count);
  root.group = new Int32Array(meta.count);
  let at = 0;
  meta.groups.forEach((group, index) => {
    const left = (index % plan.across) * plan.stride + plan.label;
    const top = Math.floor(index / plan.across) * plan.block;
    for (let k = 0; k < group.count; k += 1, at += 1) {
      root.x[at] = left + (k % plan.columns) * plan.size;
      root.y[at] = top + Math.floor(k / plan.columns) * plan.size;
      root.group[at] = index;
    }
  });
}

function shades(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((from) => parseInt(stop.slice(from, from + 2), 16)));
  return Array.from({ length: SHADES }, (_, k) => {
    const at = (k / (SHADES - 1)) * (parts.length - 1), low = Math.min(Math.floor(at), parts.length - 2);
    return `rgb(${parts[low].map((one, c) => Math.round(one + (at - low) * (parts[low + 1][c] - one)))})`;
  });
}

function hatch(pen, ink) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const inner = tile.getContext("2d");
  inner.strokeStyle = ink;
  inner.globalAlpha = 0.55;
  inner.beginPath();
  for (const from of [-6, 0, 6]) { inner.moveTo(from, 6); inner.lineTo(from + 6, 0); }
  inner.stroke();
  return pen.createPattern(tile, "repeat");
}

function label(pen, root, index) {
  const { plan, meta } = root;
  if (!plan.label) return;
  const chosen = meta.group === index;
  pen.fillStyle = chosen ? meta.ink.text : meta.ink.text3;
  pen.font = `${chosen ? 600 : 400} 12px "Source Sans", sans-serif`;
  const top = Math.floor(index / plan.across) * plan.block + Math.min(plan.size, plan.block - GAP) / 2;
  pen.fillText(root.labels[index], (index % plan.across) * plan.stride, top + 0.5, plan.label - 6);
}

// An alarm is a ring of its colour inside a ring of ink; a trip a disc; what nobody has
// acknowledged has a point in its corner.
function mark(pen, root, at, side) {
  const tier = root.alarm[at], { ink } = root.meta;
  const x = root.x[at], y = root.y[at], half = side / 2;
  const ring = (radius, colour, width) => {
    pen.beginPath();
    pen.arc(x + half, y + half, radius, 0, 2 * Math.PI);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
  };
  const radius = Math.max(half * 0.62, 1.5);
  ring(radius + 1.2, ink.text, 1.4);
  pen.setLineDash(tier === 1 ? [2, 2] : []);
  ring(radius, tier === 1 ? ink.text3 : ink.alarm, tier === 1 ? 1.2 : 1.8);
  pen.setLineDash([]);
  if (tier > 2) { pen.fillStyle = ink.alarm; pen.fill(); }
  if (!root.fresh[at] || side < MARKED_FROM) return;
  pen.fillStyle = ink.text;
  pen.beginPath();
  pen.arc(x + side - 2.5, y + 2.5, 2, 0, 2 * Math.PI);
  pen.fill();
}

function frame(pen, root, at, side, colour, width) {
  if (at < 0 || at >= root.meta.count) return;
  pen.lineWidth = width;
  pen.strokeStyle = colour;
  pen.strokeRect(root.x[at] - 0.5, root.y[at] - 0.5, side + 1, side + 1);
}

function draw(root) {
  const { meta, plan, canvas } = root;
  const ratio = devicePixelRatio || 1, width = root.width, height = plan.height + 4;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d"), side = plan.size > 5 ? plan.size - 1 : plan.size;
  pen.setTransform(ratio, 0, 0, ratio, 0, 2 * ratio);
  pen.clearRect(0, -2, width, height);
  pen.textBaseline = "middle";
  const unknown = hatch(pen, meta.ink.stale), span = meta.high - meta.low || 1;
  for (let at = 0; at < meta.count; at += 1) {
    const value = root.painted[at];
    const share = Math.min(Math.max((value - meta.low) / span, 0), 1);
    pen.globalAlpha = root.dim[at] ? 0.22 : 1;
    pen.fillStyle = Number.isFinite(value) ? root.shades[Math.round(share * (SHADES - 1))] : unknown;
    pen.fillRect(root.x[at], root.y[at], side, side);
    if (root.alarm[at]) mark(pen, root, at, side);
  }
  pen.globalAlpha = 1;
  root.meta.groups.forEach((_, index) => label(pen, root, index));
  frame(pen, root, root.cursor, side, meta.ink.text3, 1.5);
  frame(pen, root, meta.selected, side, meta.ink.text, 2);
}

function words(root, at) {
  const { meta } = root, group = meta.groups[root.group[at]].name;
  const value = told(meta.units.value, root.value[at], false);
  const away = told(meta.units.away, root.away[at], true);
  const state = root.stale[at] ? ["stale"] : [];
  if (root.alarm[at]) state.push(["", "info", "warning", "trip"][root.alarm[at]]);
  if (root.fresh[at]) state.push("unacknowledged");
  const cell = root.inner[at] ? "its farthest cell: " : "";
  const off = Number.isFinite(root.away[at]) ? `${cell}${away} from the median of ${meta.beside}` : "";
  const name = root.names.get(at);
  return [group && group !== name ? `${group} · ${name}` : name, value, off, state.join(", ")];
}

function tip(root, at) {
  root.tip.hidden = at < 0;
  if (at < 0) return;
  words(root, at).forEach((text, line) => put(root.tip.children[line], text));
  const top = root.y[at] + root.plan.size + 8 - root.scroll.scrollTop;
  const room = root.width - root.tip.offsetWidth;
  root.tip.style.transform = `translate(${Math.max(0, Math.min(root.x[at], room))}px,${top}px)`;
}

function cellAt(root, event) {
  const box = root.canvas.getBoundingClientRect(), { plan } = root;
  const x = event.clientX - box.left, y = event.clientY - box.top - 2;
  const block = Math.floor(y / plan.block) * plan.across + Math.floor(x / plan.stride);
  const group = root.meta.groups[block];
  if (!group || x < 0 || y < 0 || Math.floor(x / plan.stride) >= plan.across) return { cell: -1, group: -1 };
  const inX = (x % plan.stride) - plan.label, line = Math.floor((y % plan.block) / plan.size);
  const place = line * plan.columns + Math.floor(inX / plan.size);
  const inside = inX >= 0 && inX < plan.columns * plan.size && line < plan.lines && place < group.count;
  return { cell: inside ? group.first + place : -1, group: inX < 0 ? block : -1 };
}

function tell(root, name, what) {
  root.host.setTriggerValue(name, { place: root.meta.place, ...what });
}

function pick(root, at) {
  root.meta.selected = at;
  root.meta.group = -1;
  draw(root);
  tell(root, "picked", { row: at });
}

function stepTo(root, key) {
  const { cursor, x, y, meta } = root;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    return Math.min(Math.max(cursor + (key === "ArrowLeft" ? -1 : 1), 0), meta.count - 1);
  }
  const way = key === "ArrowUp" ? -1 : 1;
  let best = cursor, least = Infinity;
  for (let at = 0; at < meta.count; at += 1) {
    const down = way * (y[at] - y[cursor]);
    const cost = down * 4 + Math.abs(x[at] - x[cursor]);
    if (down > 0 && cost < least) { least = cost; best = at; }
  }
  return best;
}

function onKey(root, event) {
  if (event.key.startsWith("Arrow")) {
    root.cursor = root.cursor < 0 ? Math.max(root.meta.selected, 0) : stepTo(root, event.key);
    root.scroll.scrollTop = Math.min(root.scroll.scrollTop, root.y[root.cursor]);
    root.scroll.scrollTop = Math.max(root.scroll.scrollTop,
      root.y[root.cursor] + root.plan.size + 8 - root.scroll.clientHeight);
    put(root.said, words(root, root.cursor).filter(Boolean).join(", "));
    tip(root, root.cursor);
    draw(root);
  } else if ((event.key === "Enter" || event.key === " ") && root.cursor >= 0) {
    if (event.key === "Enter" && root.meta.selected === root.cursor) tell(root, "entered", { row: root.cursor });
    else pick(root, root.cursor);
  } else return;
  event.preventDefault();
}

function listen(root) {
  const { scroll, canvas } = root;
  canvas.addEventListener("pointermove", (event) => {
    const { cell, group } = cellAt(root, event);
    canvas.style.cursor = cell < 0 && group < 0 ? "" : "pointer";
    if (cell === root.hovered) return;
    root.hovered = cell;
    tip(root, cell);
  });
  canvas.addEventListener("pointerleave", () => { root.hovered = -1; tip(root, -1); });
  canvas.addEventListener("click", (event) => {
    const { cell, group } = cellAt(root, event);
    if (cell >= 0) { root.cursor = cell; pick(root, cell); } else if (group >= 0) tell(root, "picked", { group });
  });
  canvas.addEventListener("dblclick", (event) => {
    const { cell, group } = cellAt(root, event);
    if (cell >= 0) tell(root, "entered", { row: cell }); else if (group >= 0) tell(root, "entered", { group });
  });
  scroll.addEventListener("keydown", (event) => onKey(root, event));
  scroll.addEventListener("blur", () => { root.cursor = -1; tip(root, -1); draw(root); });
}

function build(parent) {
  const root = make("div", "o o-map", parent);
  root.scroll = make("div", "sc", root);
  root.scroll.tabIndex = 0;
  root.scroll.setAttribute("role", "application");
  root.canvas = make("canvas", "", root.scroll);
  root.tip = make("div", "tip", root);
  root.tip.hidden = true;
  for (const name of ["nm", "num", "mut", "mut"]) make("div", name, root.tip);
  root.said = make("div", "o-sr", root);
  root.said.setAttribute("aria-live", "polite");
  const key = make("div", "key", root);
  root.low = make("span", "", key);
  root.bar = make("i", "bar", key);
  root.high = make("span", "", key);
  for (const [name, text] of [["none", "no data"], ["al", "alarm"], ["al ask", "unacknowledged"]]) {
    const part = make("span", "one", key);
    make("i", name, part);
    make("span", "", part, text);
  }
  root.cursor = root.hovered = -1;
  root.watch = new ResizeObserver(() => { if (root.meta) show(root); });
  listen(root);
  root.watch.observe(root);
  return root;
}

function fill(root, data) {
  const { meta, cells } = data;
  const column = (name) => cells.getChild(name).toArray();
  let first = 0;
  for (const group of meta.groups) { group.first = first; first += group.count; }
  root.meta = meta;
  root.value = column("value");
  root.away = column("away");
  root.painted = meta.paint === "away" ? root.away : root.value;
  for (const name of ["alarm", "fresh", "stale", "inner", "dim"]) root[name] = column(name);
  root.names = cells.getChild("name");
  root.shades = shades(meta.ramp);
  root.scroll.setAttribute("aria-label", meta.alt);
  const unit = meta.units[meta.paint], away = meta.paint === "away";
  put(root.low, meta.low === null ? "" : told(unit, meta.low, away));
  put(root.high, meta.high === null ? "" : told(unit, meta.high, away));
  root.bar.style.display = meta.low === null ? "none" : "";
  root.bar.style.background = `linear-gradient(90deg,${meta.ramp.join(",")})`;
}

function show(root) {
  const { meta } = root, width = Math.floor(root.clientWidth);
  if (width < 40) return;
  const pen = root.canvas.getContext("2d");
  pen.font = '600 12px "Source Sans", sans-serif';
  const most = width * LABEL_SHARE;
  root.labels = meta.groups.map((group) => {
    let text = group.name;
    while (text.length > 2 && pen.measureText(text).width > most - 8) text = `${text.slice(0, -2)}…`;
    return text;
  });
  const widest = Math.max(...root.labels.map((text) => pen.measureText(text).width));
  root.width = width;
  root.plan = arrange(meta.groups, width, widest > 0 ? Math.ceil(widest) + 8 : 0);
  places(root);
  draw(root);
  tip(root, root.cursor >= 0 ? root.cursor : root.hovered < meta.count ? root.hovered : -1);
}

export default function map(host) {
  const { data, parentElement } = host;
  const root = parentElement.querySelector(":scope > .o-map") ?? build(parentElement);
  root.host = host;
  if (root.meta?.place !== data.meta.place) root.cursor = root.hovered = -1;
  fill(root, data);
  show(root);
  return () => root.watch.disconnect();
}
