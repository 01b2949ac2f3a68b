// The rows of the Digital twin. Every text from outside goes in as textContent, never as markup.
// Rows live on from refresh to refresh, so that focus, scroll and a pressed row stay.
const NAMES = ["nmc", "ver", "hea", "fad", "res", "dif", "lif", "dat"];

function make(tag, name, parent) {
  const node = document.createElement(tag);
  node.className = name;
  parent.appendChild(node);
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function makeRow(root) {
  const row = make("div", "o-row o-tw", root.list);
  row.setAttribute("role", "button");
  row.tabIndex = 0;
  const part = { row, cells: [] };
  for (const name of NAMES) {
    const box = make("span", `c ${name}`, row);
    const first = make("span", "a", box);
    if (name === "nmc") first.classList.add("nm");
    if (name === "ver") {
      part.icon = make("span", "o-ic", first);
      part.icon.setAttribute("aria-hidden", "true");
      part.verdict = make("span", "", first);
    }
    part.cells.push([name === "ver" ? part.verdict : first, make("span", "mut", box)]);
  }
  const open = () => root.host.setTriggerValue("act", { kind: "open", id: part.id });
  row.addEventListener("click", open);
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open();
  });
  return part;
}

function fill(part, line, heads) {
  part.id = line.id;
  part.row.dataset.pack = line.id;
  part.row.classList.toggle("doubted", line.doubted);
  put(part.icon, line.icon);
  part.row.querySelector(".ver").title = line.why;
  line.cells.forEach(([text, below], index) => {
    put(part.cells[index][0], text);
    put(part.cells[index][1], below);
    part.cells[index][1].parentElement.dataset.head = heads[index][1];
  });
}

function makeHead(root, heads) {
  const head = make("div", "o-row hd o-tw", root.list);
  root.heads = heads.map(([sort, text]) => {
    const cell = make("button", "", head);
    cell.textContent = text;
    cell.type = "button";
    cell.addEventListener("click", () =>
      root.host.setTriggerValue("act", { kind: "sort", id: sort }));
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

function build(parent, heads) {
  const root = make("div", "o o-twin", parent);
  root.list = make("div", "o-rows", root);
  root.parts = [];
  makeHead(root, heads);
  makeFoot(root);
  return root;
}

export default function twin(host) {
  const { data, parentElement } = host;
  const root = parentElement.querySelector(":scope > .o-twin") ?? build(parentElement, data.heads);
  root.host = host;
  while (root.parts.length < data.rows.length) root.parts.push(makeRow(root));
  while (root.parts.length > data.rows.length) root.parts.pop().row.remove();
  data.rows.forEach((line, index) => fill(root.parts[index], line, data.heads));
  for (const [sort, cell] of root.heads) cell.classList.toggle("on", sort === data.sort);
  root.foot.hidden = data.total <= data.size;
  put(root.count, data.count);
  root.before.disabled = data.first === 0;
  root.after.disabled = data.first + data.size >= data.total;
}
