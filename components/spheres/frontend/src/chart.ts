import Plotly, { type Drawn, type Part } from "plotly.js-basic-dist-min";
import type { Kept } from "./keeper";

/** What Python tells of one chart. view: another one ends a person's zoom. */
export interface Told {
  key: string;
  alt: string;
  height: number;
  view: string;
  figure: { data: Part[]; layout: Part };
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false };
const AXIS = /^[xy]axis\d*$/;

/** Dragging zooms only where it does not scroll the page. */
function finePointer(): boolean {
  return window.matchMedia("(pointer: fine)").matches;
}

/** One Plotly figure, drawn once and then changed in place. */
export class Chart implements Kept {
  private readonly element = document.createElement("div");
  private readonly watch = new ResizeObserver(() => this.fit());
  private readonly quit = new AbortController();
  private told: Told | null = null;
  private zoom: [unknown, unknown] | null = null;
  private width = 0;
  private held = false;
  private waiting = false;

  constructor(parent: HTMLElement | ShadowRoot) {
    const listen = { signal: this.quit.signal };
    this.element.setAttribute("role", "img");
    this.element.style.width = "100%";
    this.element.addEventListener("pointerdown", (press) => {
      this.held = press.button === 0;
    }, listen);
    for (const end of ["pointerup", "pointercancel", "contextmenu", "blur"]) {
      window.addEventListener(end, () => this.release(), listen);
    }
    this.moveTo(parent);
    this.watch.observe(this.element);
  }

  moveTo(parent: HTMLElement | ShadowRoot): void {
    parent.append(this.element);
  }

  dispose(): void {
    this.watch.disconnect();
    this.quit.abort();
    Plotly.purge(this.element);
    this.element.remove();
  }

  update(told: Told): void {
    if (told.view !== this.told?.view) this.zoom = null;
    this.told = told;
    this.element.setAttribute("aria-label", told.alt);
    this.element.style.height = `${told.height}px`;
    this.waiting = this.held;
    if (!this.held) this.draw();
  }

  /** New data wait while a person drags: Plotly measures the drag on what it began on. */
  private release(): void {
    if (!this.held) return;
    window.setTimeout(() => {  // after Plotly's own mouseup, which comes later than pointerup
      this.held = false;
      if (this.waiting) this.draw();
    });
  }

  /** An element without width (a closed tab of the page) is drawn when it gets one. */
  private draw(): void {
    const width = this.element.clientWidth;
    if (!this.told || width === 0) return;
    const first = this.width === 0;
    this.width = width;
    this.waiting = false;
    void Plotly.react(this.element, this.told.figure.data, this.layout(this.told), CONFIG);
    if (first) this.listen(this.element as unknown as Drawn);
  }

  private listen(drawn: Drawn): void {
    drawn.on("plotly_relayout", (change) => {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (from !== undefined && to !== undefined) this.zoom = [from, to];
    });
    drawn.on("plotly_doubleclick", () => {
      this.zoom = null;
      this.draw();
    });
  }

  private fit(): void {
    const width = this.element.clientWidth;
    if (width === 0 || width === this.width) return;
    if (this.width === 0) {
      this.draw();
      return;
    }
    this.width = width;
    void Plotly.relayout(this.element, { width });
  }

  /** The figure's layout with size and gestures; new objects, because Plotly writes into them. */
  private layout({ key, view, height, figure }: Told): Part {
    const fine = finePointer();
    const layout: Part = {
      ...figure.layout, width: this.width, height, autosize: false,
      uirevision: `${key} ${view}`, dragmode: fine ? "zoom" : false,
    };
    const names = Object.keys(figure.layout).filter((name) => AXIS.test(name));
    for (const name of new Set(["xaxis", "yaxis", ...names])) {
      const fixedrange = name.startsWith("y") || !fine;
      layout[name] = { ...(figure.layout[name] as Part | undefined), fixedrange };
    }
    Object.assign(layout.xaxis as Part, this.time(figure.layout.xaxis as Part | undefined));
    return layout;
  }

  /** Which time is seen. Plotly's own memory of a zoom gives way to every new range, and a live
   * chart has one at each refresh: so it is off for this axis, and the zoom is remembered here. */
  private time(axis: Part | undefined): Part {
    if (this.zoom) return { uirevision: false, range: [...this.zoom], autorange: false };
    const range = axis?.range as unknown[] | undefined;
    return { uirevision: false, ...(range && { range: [...range] }) };
  }
}
