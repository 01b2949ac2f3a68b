import { element } from "./dom";
import { type Ends, endsTable } from "./extremes";
import { alarmWord, age, coloured, hasValue, longName, percent, powerPhrase } from "./format";
import { type Tokens, cssVariables } from "./palette";
import { STYLE } from "./style";
import type { Items, Meta, Rect, Spot } from "./types";

const TOAST_MS = 2600;

/** The HTML around the scene: frame, notes, tooltip, toast and what a screen reader hears. */
export class Overlay {
  readonly root = element("div", "os dark");
  readonly canvas = document.createElement("canvas");
  private readonly note = element("div", "note");
  private readonly tip = element("div", "tip");
  private readonly toastBox = element("div", "toast");
  private readonly voice = element("div", "voice");
  private readonly waiting = element("div", "waiting", "Waiting for the first data");
  private readonly labelNote = element("div", "");
  private readonly otherNote = element("div", "");
  private readonly avoided: HTMLElement[];
  private toastTimer = 0;

  /** `parts` lie over the scene; labels keep clear of them. */
  constructor(host: HTMLElement | ShadowRoot, labels: HTMLCanvasElement, parts: readonly HTMLElement[],
    over: readonly HTMLElement[]) {
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.canvas.className = "scene";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Scene, waiting for data");
    labels.classList.add("labels");
    this.voice.setAttribute("aria-live", "polite");
    this.tip.hidden = true;
    this.toastBox.hidden = true;
    this.waiting.append(element("i", ""));
    this.note.append(this.labelNote, this.otherNote);
    this.avoided = [...parts, this.note];
    this.root.append(
      style, this.canvas, element("div", "shade"), labels, element("div", "frame"), ...parts, ...over,
      this.note, this.tip, this.toastBox, this.voice, this.waiting,
    );
    host.append(this.root);
  }

  setTheme(meta: Meta, t: Tokens): void {
    this.root.classList.toggle("dark", meta.theme === "dark");
    this.root.classList.toggle("light", meta.theme === "light");
    if (meta.height) this.root.style.height = `min(${meta.height}px, 118vw)`;
    for (const [name, value] of Object.entries(cssVariables(t))) this.root.style.setProperty(name, value);
  }

  /** warned: how many items have a warning or worse. */
  describe(items: Items, meta: Meta, warned: number): void {
    this.waiting.hidden = true;
    this.root.classList.toggle("past", meta.past !== null);
    const alarms = warned ? `, ${warned} with alarms` : "";
    const past = meta.past ? `Not live, ${meta.past.words}. ` : "";
    const text = `${past}${meta.parent.name}: ${items.count} ${meta.level}${alarms}. `
      + "Arrow keys select, Enter goes in, Backspace goes up, question mark shows the keys.";
    if (this.canvas.getAttribute("aria-label") !== text) this.canvas.setAttribute("aria-label", text);
  }

  say(text: string): void {
    if (this.voice.textContent !== text) this.voice.textContent = text;
  }

  setNote(shown: number, total: number): void {
    const text = shown < total ? `${shown} of ${total} labels` : "";
    if (this.labelNote.textContent !== text) this.labelNote.textContent = text;
  }

  /** What the scene leaves out, and why. */
  setOther(text: string): void {
    if (this.otherNote.textContent !== text) this.otherNote.textContent = text;
  }

  /** Rectangles that labels keep clear of, in the scene's pixels. */
  taken(): Rect[] {
    const origin = this.canvas.getBoundingClientRect();
    const parts = this.avoided.flatMap((part) => (part.matches(".corner,.tools") ? [...part.children] : [part]));
    return parts.map((part) => {
      const b = part.getBoundingClientRect();
      return { x: b.left - origin.left, y: b.top - origin.top, w: b.width, h: b.height };
    }).filter((rect) => rect.w > 0);
  }

  /** ends: what is lowest and highest below the item. */
  showTip(items: Items, i: number, spot: Spot, meta: Meta, ends: readonly Ends[]): void {
    const lines = [
      `State of charge ${percent(items.socPct[i])}`,
      powerPhrase(items.powerKw[i], items.state[i], meta.sign),
    ];
    if (hasValue(meta.colour)) lines.unshift(`${meta.colour.label} ${coloured(items.value[i], meta.colour)}`);
    if (items.alarm[i]) lines.push(alarmWord(items.alarm[i], items.alarmCount[i]));
    if (items.stale[i]) lines.push(age(items.ageS[i]));
    this.tip.replaceChildren(element("b", "", longName(items, i)), ...lines.map((text) => element("span", "", text)));
    if (ends.length > 0) this.tip.append(endsTable(ends));
    this.tip.hidden = false;
    const { offsetWidth: w, offsetHeight: h } = this.tip;
    const right = spot.x + spot.r + 14;
    const left = right + w > this.root.clientWidth - 4 ? Math.max(4, spot.x - spot.r - 14 - w) : right;
    const top = Math.min(Math.max(4, spot.y - h / 2), Math.max(4, this.root.clientHeight - h - 4));
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${top}px`;
  }

  hideTip(): void {
    this.tip.hidden = true;
  }

  toast(text: string): void {
    this.say(text);
    this.toastBox.textContent = text;
    this.toastBox.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = window.setTimeout(() => {
      this.toastBox.hidden = true;
    }, TOAST_MS);
  }

  message(text: string): void {
    const box = element("div", "message", text);
    box.setAttribute("role", "alert");
    this.root.replaceChildren(...this.root.querySelectorAll("style"), box);
  }

  dispose(): void {
    clearTimeout(this.toastTimer);
    this.root.remove();
  }
}
