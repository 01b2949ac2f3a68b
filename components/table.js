// What the tables of packs share: a head that sorts, rows that open, a foot that turns pages.
// Every text from outside goes in as textContent, never as markup. Rows live on from refresh to
// refresh, so that focus, scroll and a pressed row stay. What is pressed says what is wanted, not
// by how much: a press that is heard twice does nothing twice.
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

// Two lines of one column: what, and below it in a quieter ink.
function pair(row, name) {
  const box = make("span", `c ${name}`, row);
  return [make("span", "a", box), make("span", "mut", box)];
}

function press(root, kind, id) {
  root.host.setTriggerValue("act", { kind, id });
}

function makeRow(root, kind) {
  const row = make("div", `o-row ${kind.row}`, root.list);
  row.setAttribute("role", "button");
  row.tabIndex = 0;
  const part = { row };
  const open = () => press(root, "open", part.id);
  row.addEventListener("click", open);
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open();
  });
  kind.make(part);
  return part;
}

function makeHead(root, kind, heads) {
  const head = make("div", `o-row hd ${kind.row}`, root.list);
  root.heads = heads.map(([sort, text]) => {
    const cell = make(sort ? "button" : "span", "", head);
    cell.textContent = text;
    if (sort) {
      cell.type = "button";
      cell.addEventListener("click", () => press(root, "sort", sort));
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
    button.addEventListener("click", () => press(root, "page", String(root.screen + by)));
    return button;
  };
  root.before = step("Packs before", "chevron_left", -1);
  root.count = make("span", "", foot);
  root.after = step("Packs after", "chevron_right", 1);
  root.foot = foot;
}

function build(parent, kind, heads) {
  const root = make("div", `o ${kind.name}`, parent);
  root.list = make("div", "o-rows", root);
  root.parts = [];
  makeHead(root, kind, heads);
  makeFoot(root);
  return root;
}

// kind: `name` and `row`, classes; `make(part)` adds a row's cells, `fill(part, line, data)` writes
// them.
function table(host, kind) {
  const { data, parentElement } = host;
  const root = parentElement.querySelector(`:scope > .${kind.name}`)
    ?? build(parentElement, kind, data.heads);
  root.host = host;
  root.screen = Math.round(data.first / data.size);
  while (root.parts.length < data.rows.length) root.parts.push(makeRow(root, kind));
  while (root.parts.length > data.rows.length) root.parts.pop().row.remove();
  data.rows.forEach((line, index) => {
    const part = root.parts[index];
    part.id = line.id;
    part.row.dataset.pack = line.id;
    kind.fill(part, line, data);
  });
  for (const [sort, cell] of root.heads) cell.classList.toggle("on", sort === data.sort);
  root.foot.hidden = data.total <= data.size;
  put(root.count, data.count);
  root.before.disabled = data.first === 0;
  root.after.disabled = data.first + data.size >= data.total;
  return root;
}
