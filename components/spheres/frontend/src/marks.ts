import type { Axis, Drawn, Plane, Point, Trace } from "plotly.js-basic-dist-min";

const NEAR_PX = 20;
const FIELD = /%\{(\w+)(?:\[(\d+)\])?(?::([^}|]*))?[^}]*\}/g;
const HALF = 0.5;

/** A moment in a chart that another chart is pointed at: a line and what each trace says there.
 * Plotly's own hover would take several milliseconds a chart (measured: 3.5 to 6.3). */
export class Marks {
  private readonly layer = document.createElement("div");

  constructor(private readonly drawn: Drawn) {
    this.layer.className = "o-marks";
    this.layer.setAttribute("aria-hidden", "true");
    this.layer.style.cssText = "position:absolute;inset:0;overflow:hidden;pointer-events:none";
    drawn.style.position = "relative";
    drawn.append(this.layer);
  }

  dispose(): void {
    this.layer.remove();
  }

  /** `besides`: ids of the y axes that Plotly itself tells. */
  show(time: number | null, besides: ReadonlySet<string>): void {
    const parts: HTMLElement[] = [];
    if (time !== null) {
      for (const planes of stacked(this.drawn)) {
        if (!planes.some((plane) => besides.has(plane.yaxis._id))) {
          parts.push(...this.mark(planes, time));
        }
      }
    }
    this.layer.replaceChildren(...parts);
  }

  private mark(planes: Plane[], time: number): HTMLElement[] {
    const { xaxis, yaxis } = planes[0];
    const x = xaxis.l2p(time);
    if (xaxis.type !== "date" || !(x >= 0 && x <= xaxis._length)) return [];
    const left = xaxis._offset + x;
    const line = document.createElement("div");
    line.className = "o-mark";
    line.style.cssText = `position:absolute;left:${left}px;top:${yaxis._offset}px;width:1px;`
      + `height:${yaxis._length}px;background:${this.ink()}`;
    const rows = this.rows(planes, time);
    if (rows.length === 0) return [line];
    return [line, this.box(rows, left, yaxis._offset, x > HALF * xaxis._length)];
  }

  private box(rows: HTMLElement[], left: number, top: number, before: boolean): HTMLElement {
    const { bgcolor, bordercolor, font } = this.drawn._fullLayout.hoverlabel;
    const box = document.createElement("div");
    box.style.cssText = `position:absolute;left:${left + (before ? -6 : 7)}px;top:${top + 4}px;`
      + `${before ? "transform:translateX(-100%);" : ""}padding:2px 6px;white-space:nowrap;`
      + "border:1px solid;border-radius:2px;line-height:1.3";
    Object.assign(box.style, { background: bgcolor ?? "", borderColor: bordercolor ?? "",
                               color: font.color, fontFamily: font.family,
                               fontSize: `${font.size}px` });
    box.append(...rows);
    return box;
  }

  private ink(): string {
    const spike = (this.drawn._fullLayout.xaxis as { spikecolor?: string }).spikecolor;
    return spike ?? this.drawn._fullLayout.hoverlabel.font.color;
  }

  private rows(planes: Plane[], time: number): HTMLElement[] {
    const rows: HTMLElement[] = [];
    for (const points of this.drawn.calcdata) {
      const trace = points[0]?.trace as (Trace & { xaxis?: string; yaxis?: string }) | undefined;
      const plane = planes.find(({ xaxis, yaxis }) => xaxis._id === (trace?.xaxis ?? "x")
                                && yaxis._id === (trace?.yaxis ?? "y"));
      if (!trace || !plane || silent(trace)) continue;
      const at = place(points, time, plane.xaxis, trace.line?.shape === "hv");
      if (at >= 0) rows.push(row(trace, words(trace, points[at], at, plane.yaxis)));
    }
    return rows;
  }
}

/** The subplots, those that lie over each other together. */
function stacked(drawn: Drawn): Plane[][] {
  const found = new Map<string, Plane[]>();
  for (const plane of Object.values(drawn._fullLayout._plots)) {
    const main = plane.mainplot ?? plane.id;
    found.set(main, [...(found.get(main) ?? []), plane]);
  }
  return [...found.values()];
}

function silent(trace: Trace): boolean {
  return trace.visible !== true || trace.hoverinfo === "skip" || trace.hoverinfo === "none";
}

function time(point: Point): number {
  return point.x ?? point.p ?? NaN;
}

/** Which point tells of a moment: the nearest one on the screen, of steps the one that still
 * holds; -1 where none does. */
function place(points: Point[], moment: number, axis: Axis, holds: boolean): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(points[middle]) <= moment) low = middle + 1;
    else high = middle;
  }
  let at = low - 1;
  if (!holds || low === points.length) {
    const after = low < points.length ? time(points[low]) - moment : Infinity;
    if (at < 0 || after < moment - time(points[at])) at = low;
    if (!(at < points.length && near(time(points[at]), moment, axis))) return -1;
  }
  return at >= 0 && Number.isFinite(points[at].y ?? points[at].s) ? at : -1;
}

function near(one: number, other: number, axis: Axis): boolean {
  return Math.abs(axis.l2p(one) - axis.l2p(other)) <= NEAR_PX;
}

/** What Plotly's hover says of a point: its template, filled in, without markup. */
function words(trace: Trace, point: Point, at: number, axis: Axis): string {
  const value = (point.y ?? point.s) as number;
  const template = trace.hovertemplate || `${trace.name} %{y:${axis.hoverformat || ".4~g"}}`;
  const told = template.replace(FIELD, (_, name: string, item: string, shape: string) => {
    const found = name === "y" ? value : field(trace, name, at, item);
    return typeof found === "number" && shape ? axis._numFormat(shape)(found) : String(found ?? "");
  });
  return plain(told.replace(/<extra>.*?<\/extra>/gs, ""));
}

function field(trace: Trace, name: string, at: number, item: string | undefined): unknown {
  if (name !== "customdata" && name !== "text") return "";
  const all = trace[name];
  const own = typeof all === "string" ? all : (all as ArrayLike<unknown> | undefined)?.[at];
  return item === undefined ? own : (own as ArrayLike<unknown> | undefined)?.[Number(item)];
}

const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: "\u00a0" };

function plain(text: string): string {
  return text.replace(/<br\s*\/?>/g, " ").replace(/<[^>]*>/g, "")
    .replace(/&(amp|lt|gt|quot|nbsp);/g, (_, name: string) => NAMED[name]);
}

function row(trace: Trace, told: string): HTMLElement {
  const line = document.createElement("div");
  const swatch = document.createElement("span");
  const colour = trace.line?.color ?? trace.marker?.color;
  swatch.style.cssText = "display:inline-block;width:10px;height:2px;margin-right:6px;"
    + "vertical-align:middle";
  if (typeof colour === "string") swatch.style.background = colour;
  line.append(swatch, told);
  return line;
}
