import { element } from "./dom";
import { spoken } from "./format";
import { type KeyActions, press } from "./keys";
import type { Items, Meta } from "./types";

/** Entries that are in the document at once. */
const ENTRIES = 200;
const PAGE = 10;
let lists = 0;

/** The items as a list that can be read and walked through: the twin of the scene. It shares the
 * selection; of many items only those around the selected one are in the document. */
export class ItemList {
  readonly root = element("div", "list");
  private readonly own = `os-list-${++lists}`;
  private items: Items | null = null;
  private meta: Meta | null = null;
  private selected = -1;
  private first = 0;
  private due = true;
  /** What tells one set of items from another. */
  private place = "";

  constructor(private readonly choose: (i: number) => void, actions: KeyActions) {
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "listbox");
    this.root.addEventListener("keydown", (e) => this.key(e, actions));
    this.root.addEventListener("focus", () => this.refresh());
    this.root.addEventListener("click", (e) => {
      const row = (e.target as HTMLElement).dataset.row;
      if (row !== undefined) this.choose(Number(row));
    });
  }

  get open(): boolean {
    return this.root.classList.contains("open");
  }

  toggle(open: boolean): void {
    this.root.classList.toggle("open", open);
    this.refresh();
    if (open) this.root.focus();
  }

  /** New data; nothing is written while nobody reads. */
  show(items: Items, meta: Meta, selected: number): void {
    const last = items.count - 1;
    const place = [...meta.path, items.count, items.id.at(0), items.id.at(last)].join("/");
    this.items = items;
    this.meta = meta;
    this.selected = selected;
    this.due ||= place !== this.place;
    this.place = place;
    this.root.setAttribute("aria-label", `${items.count} items of ${meta.parent.name}`);
    if (this.due || this.open || this.root.matches(":focus")) this.refresh();
  }

  private refresh(): void {
    const { items, meta, selected } = this;
    if (!items || !meta) return;
    this.due = false;
    const count = Math.min(ENTRIES, items.count);
    const outside = selected >= 0 && (selected < this.first || selected >= this.first + count);
    if (outside) this.first = selected - (count >> 1);
    this.first = Math.max(0, Math.min(this.first, items.count - count));
    this.fill(count);
    for (let k = 0; k < count; k++) this.write(this.root.children[k] as HTMLElement, this.first + k, items, meta);
    const active = selected >= 0 ? (this.root.children[selected - this.first] as HTMLElement) : null;
    this.root.toggleAttribute("aria-activedescendant", active !== null);
    if (active) this.root.setAttribute("aria-activedescendant", active.id);
    if (active) this.reveal(active);
  }

  private fill(count: number): void {
    while (this.root.children.length > count) this.root.lastElementChild?.remove();
    while (this.root.children.length < count) {
      const entry = element("div", "");
      entry.setAttribute("role", "option");
      this.root.append(entry);
    }
  }

  private write(entry: HTMLElement, i: number, items: Items, meta: Meta): void {
    const text = spoken(items, i, meta);
    if (entry.textContent !== text) entry.textContent = text;
    entry.dataset.row = String(i);
    entry.id = `${this.own}-${i}`;
    entry.style.paddingLeft = `${8 + 14 * (items.tier[i] - 1)}px`;
    entry.setAttribute("aria-selected", String(i === this.selected));
    entry.setAttribute("aria-posinset", String(i + 1));
    entry.setAttribute("aria-setsize", String(items.count));
  }

  private reveal(entry: HTMLElement): void {
    const { scrollTop, clientHeight } = this.root;
    if (entry.offsetTop < scrollTop) this.root.scrollTop = entry.offsetTop;
    const over = entry.offsetTop + entry.offsetHeight - scrollTop - clientHeight;
    if (over > 0) this.root.scrollTop += over;
  }

  /** Along the whole list, over all tiers. */
  private key(e: KeyboardEvent, actions: KeyActions): void {
    const last = (this.items?.count ?? 0) - 1;
    const walk = (step: number) => this.choose(Math.max(0, Math.min(last, this.selected + step)));
    if (last < 0) return;
    if (e.key === "PageDown" || e.key === "PageUp") {
      e.preventDefault();
      walk(e.key === "PageDown" ? PAGE : -PAGE);
      return;
    }
    press(e, { ...actions, move: walk, edge: (end) => this.choose(end ? last : 0), escape: () => this.close(actions) });
  }

  private close(actions: KeyActions): void {
    this.root.classList.remove("open");
    actions.escape();
  }
}
