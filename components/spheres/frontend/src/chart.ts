import Plotly, { type Axis, type Drawn, type Hovered, type Part } from "plotly.js-basic-dist-min";
import { Bond, type Bound } from "./bond";
import type { Kept } from "./keeper";
import { Marks } from "./marks";
import { placed, traces, written } from "./wall";

/** What Python tells of one chart. view: another one ends a person's zoom. link: charts with
 * the same one (and the same view) share zoom and hover, if their x axes say that they are of
 * dates. */
export interface Told {
  key: string;
  alt: string;
  height: number;
  view: string;
  link: string;
  figure: { data: Part[]; layout: Part };
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false };
const AXIS = /^[xy]axis\d*$/;
const ZOOMED = /^(xaxis\d*)\.range\[0\]$/;
const NOBODY: ReadonlySet<string> = new Set();

/** Dragging zooms only where it does not scroll the page. */
function finePointer(): boolean {
  return window.matchMedia("(pointer: fine)").matches;
}

function axesOf({ layout }: Told["figure"]): string[] {
  return [...new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => AXIS.test(name))])];
}

/** The x axes that a zoom moves together: those of dates, else the first one alone. */
function zoomable(figure: Told["figure"]): string[] {
  const dated = axesOf(figure).filter(
    (name) => name.startsWith("x") && (figure.layout[name] as Part | undefined)?.type === "date");
  return dated.length ? dated : ["xaxis"];
}

function bondName({ view, link, figure }: Told): string {
  const dated = (figure.layout[zoomable(figure)[0]] as Part | undefined)?.type === "date";
  return link && dated ? JSON.stringify([link, view]) : "";
}

/** One Plotly figure, drawn once and then changed in place. */
export class Chart implements Kept, Bound {
  private readonly element = document.createElement("div");
  private readonly watch = new ResizeObserver(() => this.fit());
  private readonly quit = new AbortController();
  private told: Told | null = null;
  private bond = Bond.of("");
  private marks: Marks | null = null;
  private hovered = NOBODY;
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
    this.element.addEventListener("pointerleave", () => this.left(), listen);
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
    this.bond.leave(this);
    this.marks?.dispose();
    Plotly.purge(this.element);
    this.element.remove();
  }

  update(told: Told): void {
    this.belong(told);
    this.told = told;
    this.element.setAttribute("aria-label", told.alt);
    this.element.style.height = `${told.height}px`;
    this.renew();
  }

  /** Another view ends what belongs to this one; a chart that is alone has a bond of its own. */
  private belong(told: Told): void {
    const name = bondName(told);
    if (this.told && told.view === this.told.view && name === bondName(this.told)) return;
    this.bond.leave(this);
    this.bond = Bond.of(name);
    this.bond.join(this);
  }

  private renew(): void {
    this.waiting = this.held;
    if (!this.held) this.draw();
  }

  /** Another range alone takes half the time of a whole picture. */
  zoomed(): void {
    const { zoom } = this.bond;
    if (!zoom || !this.told || this.held || this.width === 0) {
      this.renew();
      return;
    }
    const change: Part = {};
    for (const name of zoomable(this.told.figure)) {
      Object.assign(change, { [`${name}.range`]: this.seen(name, zoom),
                              [`${name}.autorange`]: false });
    }
    void Plotly.relayout(this.element, change).then(() => this.mark());
  }

  pointed(): void {
    this.hovered = NOBODY;
    this.mark();
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
    const { data, layout } = this.told.figure;
    void Plotly.react(this.element, traces(data, layout), this.layout(this.told), CONFIG)
      .then(() => this.mark());
    if (first) this.listen(this.element as unknown as Drawn);
  }

  private mark(): void {
    if (!this.quit.signal.aborted) this.marks?.show(this.bond.moment, this.hovered);
  }

  private listen(drawn: Drawn): void {
    this.marks = new Marks(drawn);
    drawn.on("plotly_relayout", (change) => this.dragged(drawn, change));
    drawn.on("plotly_doubleclick", () => this.bond.show(null, this));
    drawn.on("plotly_hover", (event) => this.entered(event));
    drawn.on("plotly_unhover", () => this.left());
  }

  private dragged(drawn: Drawn, change: Part): void {
    for (const [key, from] of Object.entries(change)) {
      const name = ZOOMED.exec(key)?.[1];
      const to = change[`${name}.range[1]`];
      if (!name || to === undefined) continue;
      const axis = drawn._fullLayout[name] as Axis;
      this.bond.show([axis.r2l(from), axis.r2l(to)], this);
      return;
    }
  }

  /** Plotly tells of the subplot under the pointer; the others of this chart get marks too. */
  private entered({ points }: Hovered): void {
    const [first] = points;
    if (first?.xaxis?.type !== "date" || !this.told?.link) return;
    this.hovered = new Set(points.map((point) => point.yaxis?._id ?? ""));
    this.bond.point(first.xaxis.d2l(first.x), this);
    this.mark();
  }

  private left(): void {
    this.bond.point(null, this);
    this.hovered = NOBODY;
    this.mark();
  }

  private fit(): void {
    const width = this.element.clientWidth;
    if (width === 0 || width === this.width) return;
    if (this.width === 0) {
      this.draw();
      return;
    }
    this.width = width;
    void Plotly.relayout(this.element, { width }).then(() => this.mark());
  }

  /** The figure's layout with size and gestures; new objects, because Plotly writes into them. */
  private layout({ key, view, height, figure }: Told): Part {
    const fine = finePointer();
    const layout: Part = {
      ...figure.layout, ...placed(figure.layout), width: this.width, height, autosize: false,
      uirevision: `${key} ${view}`, dragmode: fine ? "zoom" : false,
    };
    for (const name of axesOf(figure)) {
      const fixedrange = name.startsWith("y") || !fine;
      layout[name] = { ...(figure.layout[name] as Part | undefined), fixedrange };
    }
    for (const name of zoomable(figure)) {
      Object.assign(layout[name] as Part, this.time(name));
    }
    return layout;
  }

  /** Which time is seen. Plotly's own memory of a zoom gives way to every new range, and a live
   * chart has one at each refresh: so it is off for this axis, and the zoom is remembered here. */
  private time(name: string): Part {
    const { zoom } = this.bond;
    if (zoom) return { uirevision: false, range: this.seen(name, zoom), autorange: false };
    const range = this.axis(name)?.range as unknown[] | undefined;
    return { uirevision: false, ...(range && { range: this.seen(name, range) }) };
  }

  /** A new range, because Plotly writes into it. */
  private seen(name: string, range: unknown[]): unknown[] {
    return this.axis(name)?.type === "date" ? range.map(written) : [...range];
  }

  private axis(name: string): Part | undefined {
    return this.told?.figure.layout[name] as Part | undefined;
  }
}
