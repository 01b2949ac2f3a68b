import { alarmWord, age, percent, powerPhrase } from "./format";
import { type Tokens, cssVariables } from "./palette";
import type { Items, Meta, Rect, Spot } from "./types";

const STYLE = `
.os{position:relative;width:100%;height:100%;min-height:220px;overflow:hidden;border-radius:6px;background:var(--bg);
 border:1px solid var(--border);box-sizing:border-box;color:var(--text2);
 font:13px/1.4 "Source Sans","Source Sans 3","Source Sans Pro",system-ui,sans-serif;user-select:none;-webkit-user-select:none}
.os *{box-sizing:border-box}
.os canvas{position:absolute;inset:0;width:100%;height:100%;display:block}
.os .scene{outline:none;cursor:grab;-webkit-touch-callout:none}
.os .scene.over{cursor:pointer}
.os .scene.keys:focus~.frame{border-color:var(--focus)}
.os .frame,.os .shade,.os .labels{position:absolute;inset:0;pointer-events:none}
.os .frame{border:2px solid transparent;border-radius:5px}
.os.dark .shade{background:radial-gradient(ellipse at 50% 55%,rgba(150,175,205,.07),transparent 45%,rgba(0,0,0,.28) 100%)}
.os.light .shade{background:radial-gradient(ellipse at 50% 55%,transparent 55%,rgba(30,45,65,.045) 100%)}
.os .legend{position:absolute;left:10px;bottom:9px;font-size:12px;max-width:calc(100% - 20px)}
.os .legend summary{cursor:pointer;color:var(--text3);padding:3px 8px}
.os .rows{display:flex;gap:2px 16px;align-items:center;padding:3px 6px;color:var(--text3);white-space:nowrap}
.os .rows div{display:flex;align-items:center;gap:6px}
.os .rows i{width:18px;height:3px;border-radius:2px;flex:none}
.os .legend:not(.narrow) summary{display:none}
.os .narrow{background:var(--raised);border:1px solid var(--border);border-radius:6px}
.os .narrow .rows{flex-direction:column;align-items:start;padding:0 10px 7px}
.os .note{position:absolute;right:12px;bottom:32px;font-size:12px;color:var(--text3);pointer-events:none}
.os .tip{position:absolute;z-index:2;padding:6px 10px;border-radius:6px;border:1px solid var(--border);background:var(--raised);
 pointer-events:none;white-space:nowrap;box-shadow:0 4px 14px rgba(0,0,0,.22)}
.os .tip b{display:block;color:var(--text);font-weight:600}
.os .tip span{display:block}
.os .toast{position:absolute;left:50%;top:14px;transform:translateX(-50%);padding:6px 14px;border-radius:99px;z-index:3;
 background:var(--raised);border:1px solid var(--border);color:var(--text);pointer-events:none;max-width:90%}
.os .message{position:absolute;inset:0;display:grid;place-items:center;padding:24px;text-align:center}
.os .voice{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.os [hidden]{display:none!important}
`;

const HELP = "Right-click to drill down, left-click to select";
const NARROW = 720;

function element(tag: string, name: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

/** The HTML around the scene: frame, legend, tooltip, toast and what a screen reader hears. */
export class Overlay {
  readonly root = element("div", "os");
  readonly canvas = document.createElement("canvas");
  private readonly note = element("div", "note");
  private readonly tip = element("div", "tip");
  private readonly toastBox = element("div", "toast");
  private readonly voice = element("div", "voice");
  private readonly legend = document.createElement("details");
  private toastTimer = 0;

  constructor(host: HTMLElement | ShadowRoot, labels: HTMLCanvasElement) {
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.canvas.className = "scene";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    labels.classList.add("labels");
    this.voice.setAttribute("aria-live", "polite");
    this.toastBox.setAttribute("role", "status");
    this.tip.hidden = true;
    this.toastBox.hidden = true;
    this.fillLegend();
    this.root.append(
      style, this.canvas, element("div", "shade"), labels, element("div", "frame"),
      this.legend, this.note, this.tip, this.toastBox, this.voice,
    );
    host.append(this.root);
  }

  setTheme(meta: Meta, t: Tokens): void {
    this.root.classList.toggle("dark", meta.theme === "dark");
    this.root.classList.toggle("light", meta.theme === "light");
    if (meta.height) this.root.style.height = `min(${meta.height}px, 118vw)`;
    for (const [name, value] of Object.entries(cssVariables(t))) this.root.style.setProperty(name, value);
  }

  describe(items: Items, meta: Meta): void {
    const alarmed = items.alarm.reduce((n, a) => n + (a >= 2 ? 1 : 0), 0);
    const alarms = alarmed ? `, ${alarmed} with alarms` : "";
    this.canvas.setAttribute(
      "aria-label",
      `${meta.parent.name}: ${items.count} ${meta.level}${alarms}. Arrow keys select, Enter goes in, Backspace goes up.`,
    );
  }

  say(text: string): void {
    if (this.voice.textContent !== text) this.voice.textContent = text;
  }

  setNote(shown: number, total: number): void {
    this.note.textContent = shown < total ? `${shown} of ${total} labels` : "";
  }

  fold(width: number): void {
    const narrow = width < NARROW;
    if (narrow === this.legend.classList.contains("narrow")) return;
    this.legend.classList.toggle("narrow", narrow);
    this.legend.open = !narrow;
  }

  /** Rectangles that labels keep clear of, in the scene's pixels. */
  taken(): Rect[] {
    const origin = this.canvas.getBoundingClientRect();
    return [this.legend, this.note].map((part) => {
      const b = part.getBoundingClientRect();
      return { x: b.left - origin.left, y: b.top - origin.top, w: b.width, h: b.height };
    });
  }

  showTip(items: Items, i: number, spot: Spot, meta: Meta): void {
    const lines = [
      `State of charge ${percent(items.socPct[i])}`,
      powerPhrase(items.powerKw[i], items.state[i], meta.sign),
    ];
    if (items.alarm[i]) lines.push(alarmWord(items.alarm[i], items.alarmCount[i]));
    if (items.stale[i]) lines.push(age(items.ageS[i]));
    this.tip.replaceChildren(element("b", "", items.name[i]), ...lines.map((text) => element("span", "", text)));
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
    this.toastBox.textContent = text;
    this.toastBox.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = window.setTimeout(() => {
      this.toastBox.hidden = true;
    }, 2600);
  }

  message(text: string): void {
    this.root.replaceChildren(...this.root.querySelectorAll("style"), element("div", "message", text));
  }

  dispose(): void {
    clearTimeout(this.toastTimer);
    this.root.remove();
  }

  private fillLegend(): void {
    const rows = [
      ["Discharging (to grid)", "background:var(--discharge)"],
      ["Charging (from grid)", "background:var(--charge)"],
      ["Idle", "background:var(--idle);opacity:.6"],
      ["Stale", "background:repeating-linear-gradient(90deg,var(--idle) 0 4px,transparent 4px 7px);opacity:.55"],
    ];
    const list = element("div", "rows");
    for (const [text, style] of rows) {
      const row = element("div", "");
      const mark = element("i", "");
      mark.style.cssText = style;
      row.append(mark, element("span", "", text));
      list.append(row);
    }
    list.append(element("span", "help", HELP));
    this.legend.className = "legend";
    this.legend.open = true;
    this.legend.append(element("summary", "", "Legend"), list);
  }
}
