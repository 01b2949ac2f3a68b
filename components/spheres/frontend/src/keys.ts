import { button, element } from "./dom";

/** What keys do in the scene. */
export interface KeyActions {
  move(step: number): void;
  edge(last: boolean): void;
  enter(): void;
  up(): void;
  zoom(factor: number): void;
  playback(): void;
  help(): void;
  escape(): void;
}

const TOLD: [string, string][] = [
  ["\u2190 \u2191 \u2192 \u2193", "the sphere beside"],
  ["Home, End", "the first, the last one"],
  ["Enter", "go into it"],
  ["Backspace", "come up"],
  ["+ \u2212", "nearer, farther"],
  ["Space", "play or pause the past"],
  ["Escape", "close, or select nothing"],
  ["?", "these keys"],
];
const HANDS: [string, string][] = [
  ["Drag", "turn; with Shift move"],
  ["Click, double click", "select, go into"],
  ["One finger", "turn; hold to go into"],
  ["Two fingers", "zoom and move"],
];

/** Runs what a key stands for; false for a key that stands for nothing. */
export function press(e: KeyboardEvent, on: KeyActions): boolean {
  const actions: Record<string, () => void> = {
    ArrowRight: () => on.move(1),
    ArrowDown: () => on.move(1),
    ArrowLeft: () => on.move(-1),
    ArrowUp: () => on.move(-1),
    Home: () => on.edge(false),
    End: () => on.edge(true),
    Enter: () => on.enter(),
    Backspace: () => on.up(),
    "+": () => on.zoom(0.85),
    "-": () => on.zoom(1.18),
    " ": () => on.playback(),
    "?": () => on.help(),
    Escape: () => on.escape(),
  };
  const action = actions[e.key];
  if (!action || e.ctrlKey || e.metaKey || e.altKey) return false;
  e.preventDefault();
  e.stopPropagation();
  action();
  return true;
}

function table(rows: [string, string][]): HTMLElement {
  const list = element("dl", "");
  for (const [key, what] of rows) list.append(element("dt", "", key), element("dd", "", what));
  return list;
}

/** The keys on a card over the scene. */
export class Help {
  readonly root = element("div", "panel help");
  private back: HTMLElement | null = null;

  constructor() {
    this.root.setAttribute("role", "dialog");
    this.root.setAttribute("aria-label", "Keys");
    this.root.hidden = true;
    this.root.append(element("h2", "", "Keys"), table(TOLD), element("h2", "", "Hands"), table(HANDS),
      button("Close", () => this.toggle(false)));
    this.root.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" && e.key !== "?") return;
      e.stopPropagation();
      this.toggle(false);
    });
  }

  get open(): boolean {
    return !this.root.hidden;
  }

  /** back: what has the focus again when the card is closed. */
  toggle(open: boolean, back?: HTMLElement): void {
    if (open === this.open) return;
    this.root.hidden = !open;
    if (back) this.back = back;
    (open ? this.root.querySelector("button") : this.back)?.focus();
  }
}
