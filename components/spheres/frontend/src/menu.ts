import { button, element } from "./dom";

export const SCALES = [1, 2, 4] as const;

export interface MenuActions {
  png(scale: number): void;
  /** Absent where there is no code to put into a page. */
  page?(): void;
  list(): void;
  keys(): void;
  home(): void;
}

/** What one can do with the scene besides looking at it. */
export class Menu {
  readonly root = element("div", "tools");
  private readonly opener: HTMLButtonElement;
  private readonly panel = element("div", "menu");

  constructor(actions: MenuActions) {
    this.opener = button("\u22ef", () => this.toggle(this.panel.hidden !== false));
    this.opener.setAttribute("aria-label", "Scene menu");
    this.opener.setAttribute("aria-expanded", "false");
    this.panel.hidden = true;
    const done = (run: () => void) => () => { this.toggle(false); run(); };
    const sizes = element("div", "sizes", "Picture");
    for (const scale of SCALES) {
      const make = button(`${scale}\u00d7`, done(() => actions.png(scale)));
      make.setAttribute("aria-label", `Save a PNG picture at ${scale} times the size`);
      sizes.append(make);
    }
    this.panel.append(sizes);
    if (actions.page) this.panel.append(button("Offline page (HTML)", done(actions.page)));
    this.panel.append(button("List of items", done(actions.list)), button("Whole view", done(actions.home)),
      button("Keys", done(actions.keys)));
    this.root.append(this.opener, this.panel);
    this.root.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" || this.panel.hidden) return;
      e.stopPropagation();
      this.toggle(false);
      this.opener.focus();
    });
  }

  get button(): HTMLElement {
    return this.opener;
  }

  /** One more entry, above the keys. */
  offer(text: string, run: () => void): void {
    this.panel.append(button(text, () => { this.toggle(false); run(); }));
  }

  toggle(open: boolean): void {
    this.panel.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    if (open) this.panel.querySelector("button")?.focus();
  }
}
