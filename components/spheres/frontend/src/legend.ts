import { element } from "./dom";
import { coloured } from "./format";
import type { Tokens } from "./palette";
import type { Meta } from "./types";

const HELP = "Right-click to drill down, left-click to select";
const NARROW = 720;

export type Mark = "line" | "dashes" | "dot" | "ring" | "double" | "dashed" | "hatch";

/** One line of the legend: its mark in its colour, and its words. */
export interface Entry {
  mark: Mark;
  colour: string;
  text: string;
}

const CSS: Record<Mark, (colour: string, t: Tokens) => string> = {
  line: (c) => `background:${c}`,
  dashes: (c) => `background:repeating-linear-gradient(90deg,${c} 0 4px,transparent 4px 7px);opacity:.55`,
  dot: (c) => `background:${c}`,
  ring: (c) => `border:2px solid ${c}`,
  double: (c) => `border:4px double ${c}`,
  dashed: (c) => `border:2px dashed ${c}`,
  hatch: (_, t) => `background:repeating-linear-gradient(45deg,${t.mid} 0 3px,${t.shade} 3px 6px)`,
};

/** Ends of the range in words and how it came about; or that nothing is known. */
export function range({ colour }: Meta): [string, string, string] {
  const { low, high } = colour;
  if (low === null || high === null) return ["", "no value known", ""];
  return [coloured(low, colour), coloured(high, colour), colour.fixed ? "fixed" : "auto"];
}

export function isScale({ colour: { kind } }: Meta): boolean {
  return kind === "sequential" || kind === "diverging";
}

export function entries(meta: Meta, t: Tokens): Entry[] {
  if (isScale(meta)) return [{ mark: "hatch", colour: t.mid, text: "Not known" }];
  if (meta.colour.kind === "flow") {
    return [
      { mark: "line", colour: t.discharge[1], text: "Discharging (to grid)" },
      { mark: "line", colour: t.charge[1], text: "Charging (from grid)" },
      { mark: "line", colour: t.idle, text: "Idle" },
      { mark: "dashes", colour: t.idle, text: "Stale" },
    ];
  }
  return [
    { mark: "double", colour: t.alarm, text: "Trip" },
    { mark: "ring", colour: t.alarm, text: "Warning" },
    { mark: "dashed", colour: t.info, text: "Info" },
    { mark: "dot", colour: t.mid, text: "No alarm" },
  ];
}

/** What the colours mean, at the foot of the scene; folded on a narrow one. */
export class Legend {
  readonly root = document.createElement("details");
  private readonly list = element("div", "rows");
  private shown = "";

  constructor() {
    this.root.className = "legend";
    this.root.open = true;
    this.root.append(element("summary", "", "Legend"), this.list);
  }

  show(meta: Meta, t: Tokens, ramp: readonly string[]): void {
    const now = JSON.stringify([meta.colour, meta.theme, meta.palette]);
    if (now === this.shown) return;
    this.shown = now;
    const rows = entries(meta, t).map((entry) => this.row(entry, t));
    if (isScale(meta)) rows.unshift(...this.scale(meta, ramp));
    this.list.replaceChildren(...rows, element("span", "help-line", HELP));
  }

  fold(width: number): void {
    const narrow = width < NARROW;
    if (narrow === this.root.classList.contains("narrow")) return;
    this.root.classList.toggle("narrow", narrow);
    this.root.open = !narrow;
  }

  private row({ mark, colour, text }: Entry, t: Tokens): HTMLElement {
    const row = element("div", "");
    const sign = element("i", mark === "line" || mark === "dashes" ? "" : "dot");
    sign.style.cssText = CSS[mark](colour, t);
    row.append(sign, element("span", "", text));
    return row;
  }

  private scale(meta: Meta, ramp: readonly string[]): HTMLElement[] {
    const [low, high, how] = range(meta);
    const bar = element("i", "bar");
    bar.style.background = `linear-gradient(90deg,${ramp.join()})`;
    const row = element("div", "scale");
    row.append(element("b", "", meta.colour.label), element("span", "", low), bar, element("span", "", high));
    if (how) row.append(element("span", "how", `(${how})`));
    return [row];
  }
}
