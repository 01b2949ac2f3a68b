import { energy, percent, power, word } from "./format";
import { register } from "./hook";
import type { Insets } from "./camera";
import { Link } from "./link";
import { type WireView, itemsOf, metaOf } from "./protocol";
import type { Items } from "./types";
import { Viewer } from "./viewer";

const TOP = "Systems";

function part(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement;
}

function node(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function table(rows: [string, string, string?][]): HTMLElement {
  const list = node("dl", "");
  for (const [name, value, style = ""] of rows) {
    const pair = [node("dt", name), node("dd", value)];
    for (const cell of pair) cell.className = style;
    list.append(...pair);
  }
  return list;
}

/** Room for the boxes around the scene. */
function panels(width: number): Partial<Insets> {
  return width > 760 ? { top: 110, left: width * 0.18, right: width * 0.18 } : { top: 160 };
}

/** The page around the viewer when no Streamlit is there. */
class Page {
  private readonly dark = window.matchMedia("(prefers-color-scheme: dark)");
  private readonly names = new Map<string, string>();
  private readonly viewer: Viewer;
  private readonly link: Link;
  private last: WireView | null = null;
  private items: Items | null = null;

  constructor() {
    this.viewer = new Viewer(part("scene"), {
      selected: () => this.showDetails(),
      drill: (id) => this.go([...(this.last?.view_path ?? []), id]),
      up: () => this.back(),
      failed: () => undefined,
    }, { panels, source: new URL("./index.js", import.meta.url).href });
    register(this.viewer);
    this.link = new Link({
      connected: (on) => this.showStatus(on),
      view: (view) => this.show(view),
      error: (message) => this.viewer.toast(message),
    });
    part("back").addEventListener("click", () => this.back());
    this.dark.addEventListener("change", () => this.last && this.show(this.last));
  }

  private go(path: string[]): void {
    this.link.navigate(path);
  }

  private back(): void {
    this.go(this.link.path.slice(0, -1));
  }

  private show(view: WireView): void {
    for (const item of view.view.items) this.names.set(item.id, item.name);
    const moved = this.last?.view_path.join("/") !== view.view_path.join("/");
    this.last = view;
    this.link.path = view.view_path;
    this.items = itemsOf(view);
    this.viewer.update(this.items, metaOf(view, this.parentName(view), this.dark.matches));
    if (moved) this.showPath(view.view_path);
    this.showInfo(view);
    this.showDetails();
  }

  private parentName(view: WireView): string {
    const id = view.view_path[view.view_path.length - 1];
    return id === undefined ? view.poc.name : this.nameOf(id);
  }

  private nameOf(id: string): string {
    return this.names.get(id) ?? id.split("_").slice(-2).join(" ").replace(/^./, (c) => c.toUpperCase());
  }

  private showPath(path: string[]): void {
    const crumbs = [TOP, ...path.map((id) => this.nameOf(id))].map((name, depth) => {
      const crumb = node("button", name);
      crumb.setAttribute("type", "button");
      if (depth === path.length) crumb.setAttribute("aria-current", "page");
      crumb.addEventListener("click", () => this.go(path.slice(0, depth)));
      return crumb;
    });
    part("path").replaceChildren(...crumbs);
    part("back").hidden = path.length === 0;
  }

  private showInfo(view: WireView): void {
    const time = view.timestamp.slice(11, 19);
    part("info").replaceChildren(
      node("h1", "Power system"),
      table([
        ["", this.parentName(view)],
        ["Total power", power(view.poc.total_power ?? Number.NaN, "discharge")],
        ["Level", view.view.level, "wide"],
        ["Items", String(view.view.items.length), "wide"],
        ["Last update", time],
      ]),
    );
  }

  private showDetails(): void {
    const box = part("details");
    const i = this.items?.id.indexOf(this.viewer.selected ?? "") ?? -1;
    box.hidden = i < 0 || !this.items;
    if (i < 0 || !this.items) return;
    const items = this.items;
    const help = items.canDrill[i] ? "Right-click to drill down" : "Cells are the last level";
    box.replaceChildren(
      node("h2", items.name.at(i)),
      table([
        ["ID", items.id.at(i)],
        ["Capacity", energy(items.capacityKwh[i])],
        ["State", word(items.state[i])],
        ["Power", power(Math.abs(items.powerKw[i]), "discharge")],
        ["SOC", percent(items.socPct[i])],
      ]),
      node("p", help),
    );
  }

  private showStatus(on: boolean): void {
    const box = part("status");
    box.textContent = on ? "Connected" : "Disconnected";
    box.classList.toggle("on", on);
  }
}

new Page();
