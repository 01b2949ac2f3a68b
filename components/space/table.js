// The table twin of the scene: a real table, in which an element keeps its row from refresh to
// refresh wherever the order puts it, so that focus, scroll and a press stay with it. Texts come from outside: they go in as textContent, never as markup.
function make(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// What is told is what is wanted and not a step to it: a press may be delivered twice.
const tell = (root, kind, id) => root.host.setTriggerValue("act", { kind, id, place: root.place });

function build(parent) {
  const root = make("div", "o o-tbl", parent);
  root.scroll = make("div", "sc", root);
  root.scroll.tabIndex = 0;
  root.scroll.setAttribute("role", "region");
  const table = make("table", "", root.scroll);
  root.caption = make("caption", "o-sr", table);
  root.head = make("tr", "", make("thead", "", table));
  root.body = make("tbody", "", table);
  root.rows = [];
  root.columns = "";
  const foot = make("div", "o-pages", root);
  const step = (name, text, by) => {
    const button = make("button", "", foot, text);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => tell(root, "page", String(root.page + by)));
    return button;
  };
  root.before = step("Rows before", "chevron_left", -1);
  root.count = make("span", "", foot);
  root.after = step("Rows after", "chevron_right", 1);
  root.foot = foot;
  return root;
}

function makeHead(root, columns) {
  root.head.replaceChildren();
  root.rows.splice(0).forEach((row) => row.line.remove());
  root.heads = columns.map((column) => {
    const cell = make("th", column.right ? "rt" : "", root.head);
    cell.scope = "col";
    const button = make("button", "", cell);
    button.type = "button";
    const label = make("span", "", button);
    const unit = make("span", "o-un", button);
    const arrow = make("span", "o-ic", button);
    arrow.setAttribute("aria-hidden", "true");
    button.addEventListener("click", () => tell(root, "sort", column.sorts.find((one) => one !== root.sort)));
    return { cell, label, unit, arrow, name: column.name };
  });
}

// A unit follows the largest value of its column: it changes in its place, and no row is made anew.
function name(root, columns) {
  root.heads.forEach((head, index) => {
    put(head.label, columns[index].label);
    put(head.unit, columns[index].unit);
    head.unit.hidden = !columns[index].unit;
  });
}

function makeRow(root, columns) {
  const row = { line: make("tr", "", root.body), cells: [] };
  const first = make("th", "", row.line);
  first.scope = "row";
  row.icon = make("span", "o-ic", first);
  row.icon.setAttribute("aria-hidden", "true");
  row.name = make("button", "nm", first);
  row.name.type = "button";
  row.enter = make("button", "go", first, "login");
  row.enter.type = "button";
  for (const column of columns.slice(1)) row.cells.push(make("td", column.right ? "rt" : "", row.line));
  row.line.addEventListener("click", (event) => {
    if (event.target !== row.enter) tell(root, "pick", row.id);
  });
  row.line.addEventListener("dblclick", () => { if (!row.enter.hidden) tell(root, "enter", row.id); });
  row.enter.addEventListener("click", () => tell(root, "enter", row.id));
  return row;
}

function fill(row, line, chosen) {
  row.id = line.id;
  put(row.name, line.name);
  if (row.name.title !== line.name) row.name.title = line.name;
  put(row.icon, line.icon);
  row.enter.hidden = !line.enter;
  set(row.enter, "aria-label", `Go into ${line.name}`);
  set(row.name, "aria-pressed", String(line.id === chosen));
  const name = [line.tier > 1 && `t${line.tier}`, line.stale && "old", line.id === chosen && "on"]
    .filter(Boolean).join(" ");
  if (row.line.className !== name) row.line.className = name;
  row.line.dataset.id = line.id;
  line.cells.forEach((text, index) => put(row.cells[index], text));
}

function sorted(root, data) {
  for (const head of root.heads) {
    const on = head.name === data.sort;
    set(head.cell, "aria-sort", !on ? "none" : data.down ? "descending" : "ascending");
    put(head.arrow, !on ? "" : data.down ? "arrow_downward" : "arrow_upward");
  }
}

function arrange(root, data) {
  const focused = root.getRootNode().activeElement;
  const known = new Map(root.rows.map((row) => [row.id, row]));
  root.rows = data.rows.map((line) => {
    const row = known.get(line.id) ?? makeRow(root, data.columns);
    known.delete(line.id);
    fill(row, line, data.chosen);
    return row;
  });
  for (const row of known.values()) row.line.remove();
  root.rows.forEach((row, index) => {
    const there = root.body.children[index];
    if (there !== row.line) root.body.insertBefore(row.line, there ?? null);
  });
  if (root.body.contains(focused)) focused.focus({ preventScroll: true });
}

export default function table(host) {
  const { data, parentElement } = host;
  const root = parentElement.querySelector(":scope > .o-tbl") ?? build(parentElement);
  root.host = host;
  root.place = data.place;
  root.sort = (data.down ? "-" : "") + data.sort;
  root.page = data.first / data.size;
  const columns = data.columns.map((column) => column.name).join();
  if (columns !== root.columns) makeHead(root, data.columns);
  root.columns = columns;
  name(root, data.columns);
  put(root.caption, data.caption);
  set(root.scroll, "aria-label", data.caption);
  arrange(root, data);
  sorted(root, data);
  root.foot.hidden = data.total <= data.size;
  put(root.count, data.count);
  root.before.disabled = data.first === 0;
  root.after.disabled = data.first + data.size >= data.total;
}
