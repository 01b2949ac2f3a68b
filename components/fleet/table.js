// The rows of the Fleet page. Every text from outside goes in as textContent, never as markup.
// Rows live on from refresh to refresh, so that focus, scroll and a pressed row stay.
const HEADS = [["name", "Pack"], ["alarms", "Safety"], ["power", "Power"], ["charge", "Charge"],
  ["cell", "Worst cell"], ["temperature", "Temp."], ["", "Limits, charge | discharge"],
  ["age", "Heard"]];

function make(tag, name, parent) {
  const node = document.createElement(tag);
  node.className = name;
  parent.appendChild(node);
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function icon(parent) {
  const node = make("span", "o-ic", parent);
  node.setAttribute("aria-hidden", "true");
  return node;
}

// Two lines of one column: what, and beside it in a quieter ink.
function pair(row, name) {
  const box = make("span", `c ${name}`, row);
  return [make("span", "a", box), make("span", "mut", box)];
}

function makeRow(root, list) {
  const row = make("div", "o-row o-pk", list);
  row.setAttribute("role", "button");
  row.tabIndex = 0;
  const part = { row };
  [part.name, part.about] = pair(row, "nmc");
  part.name.classList.add("nm");
  const [safety, alarms] = pair(row, "saf");
  part.icon = icon(safety);
  part.safety = make("span", "", safety);
  part.safetyBox = safety;
  part.alarms = alarms;
  const [power, way] = pair(row, "pow");
  part.power = make("span", "", power);
  part.unit = make("span", "o-un", power);
  part.arrow = icon(way);
  part.way = make("span", "", way);
  const [charge, health] = pair(row, "chg");
  charge.classList.add("o-soc");
  part.bar = make("div", "", make("span", "b", charge));
  part.charge = make("span", "num", charge);
  part.health = health;
  [part.cell, part.why] = pair(row, "cel");
  [part.heat] = pair(row, "tmp");
  [part.limits, part.reason] = pair(row, "lim");
  [part.age, part.missing] = pair(row, "agc");
  const open = () => root.host.setTriggerValue("act", { kind: "open", id: part.id });
  row.addEventListener("click", open);
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open();
  });
  return part;
}

const PLAIN = ["name", "about", "safety", "alarms", "power", "unit", "way", "charge", "health",
  "cell", "why", "heat", "limits", "reason", "age", "missing", "icon", "arrow"];

function fill(part, line, chosen) {
  part.id = line.id;
  for (const name of PLAIN) put(part[name], line[name]);
  part.reason.title = line.reason;
  const tier = line.tier > 1 ? ` t${line.tier}` : "";
  const name = `o-row o-pk${line.old ? " old" : ""}${tier}`;
  if (part.row.className !== name) part.row.className = name;
  part.row.style.setProperty("--c", `var(--o-${line.hue})`);
  part.row.setAttribute("aria-pressed", String(line.id === chosen));
  part.row.dataset.pack = line.id;
  part.safetyBox.className = line.trip ? "a o-pill o-t3" : "a";
  part.bar.style.width = `${line.soc === null ? 0 : Math.min(Math.max(line.soc, 0), 100)}%`;
}

function makeHead(root) {
  const head = make("div", "o-row hd o-pk", root.list);
  root.heads = HEADS.map(([sort, text]) => {
    const cell = make(sort ? "button" : "span", "", head);
    cell.textContent = text;
    if (sort) {
      cell.type = "button";
      cell.addEventListener("click", () =>
        root.host.setTriggerValue("act", { kind: "sort", id: sort }));
    }
    return [sort, cell];
  });
}

function makeFoot(root) {
  const foot = make("div", "o-pages", root);
  const step = (name, text, by) => {
    const button = make("button", "", foot);
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () =>
      root.host.setTriggerValue("act", { kind: "page", id: String(by) }));
    return button;
  };
  root.before = step("Packs before", "chevron_left", -1);
  root.count = make("span", "", foot);
  root.after = step("Packs after", "chevron_right", 1);
  root.foot = foot;
}

function build(parent) {
  const root = make("div", "o o-fleet", parent);
  root.list = make("div", "o-rows", root);
  root.parts = [];
  makeHead(root);
  makeFoot(root);
  return root;
}

// On a narrow window the opened pack stands above the rows: go there once it is drawn.
function goToPanel(frames) {
  const panel = document.querySelector(".st-key-panel_pack");
  if (panel !== null) panel.scrollIntoView({ block: "start" });
  else if (frames > 0) requestAnimationFrame(() => goToPanel(frames - 1));
}

export default function fleet(host) {
  const { data, parentElement } = host;
  const root = parentElement.querySelector(":scope > .o-fleet") ?? build(parentElement);
  root.host = host;
  if (root.chosen !== data.chosen && data.chosen && innerWidth <= 1000) goToPanel(180);
  root.chosen = data.chosen;
  while (root.parts.length < data.rows.length) root.parts.push(makeRow(root, root.list));
  while (root.parts.length > data.rows.length) root.parts.pop().row.remove();
  data.rows.forEach((line, index) => fill(root.parts[index], line, data.chosen));
  for (const [sort, cell] of root.heads) cell.classList.toggle("on", sort === data.sort);
  root.foot.hidden = data.total <= data.size;
  put(root.count, data.count);
  root.before.disabled = data.first === 0;
  root.after.disabled = data.first + data.size >= data.total;
}
