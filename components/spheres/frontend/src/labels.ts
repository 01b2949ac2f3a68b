import type { OrbitCamera } from "./camera";
import { alarmWord, brief } from "./format";
import { ROOMY } from "./layouts/layout";
import type { Layout } from "./layouts/types";
import { Occupancy } from "./occupancy";
import type { Tokens } from "./palette";
import type { Projection } from "./projection";
import { ranked } from "./rank";
import type { Items, Marks, Meta, Rect, Spot } from "./types";

const FAMILY = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif';
const NAME_FONT = `600 13.5px ${FAMILY}`;
const BRIEF_FONT = `400 12.5px ${FAMILY}`;
const AGE_FONT = `600 12.5px ${FAMILY}`;
const PILL_FONT = `600 12px ${FAMILY}`;
const CLUSTER_FONT = `600 13px ${FAMILY}`;
const LINE = 16;
const SMALLEST = 4;
/** Spheres below this radius [px] leave a label readable. */
const SPECK = 1.5;
/** Where the curve above a sphere is, in radii: its middle and half its height. */
const CURVE = { up: 1.95, half: 0.5 };
/** Children considered for each label that may be shown. */
const CANDIDATES = 4;

interface Text {
  name: string;
  brief: string;
  old: boolean;
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** What the labels are written about. */
export interface Written {
  layout: Layout;
  camera: OrbitCamera;
  seen: Projection;
  items: Items;
  meta: Meta;
  tokens: Tokens;
  marks: Marks;
  /** Rows with a curve above them. */
  trailed: ReadonlySet<number>;
}

/** Names over the scene on one 2D canvas; no two of them overlap. */
export class Labels {
  rects: Rect[] = [];
  shown = 0;
  private readonly context: CanvasRenderingContext2D;
  private readonly widths = new Map<string, number>();
  private order: number[] = [];
  private blocked: Rect[] = [];
  private readonly covered = new Occupancy();
  private centre: Spot = { x: 0, y: 0, r: 0, depth: 0 };
  ratio = 1;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d") as CanvasRenderingContext2D;
  }

  /** Measures anew, for instance when a font has arrived. */
  forget(): void {
    this.widths.clear();
  }

  resize(width: number, height: number, ratio: number): void {
    this.ratio = ratio;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  /** Keeps the best candidates: marked first, then alarmed, then the upper tiers, then by power. */
  rank(items: Items, marks: Marks, cap: number): void {
    this.order = ranked(items, marks, cap * CANDIDATES);
  }

  /** `taken`: rectangles that labels keep clear of. */
  draw(of: Written, taken: readonly Rect[]): void {
    const { layout, camera, seen, items, meta, tokens: t, marks, trailed } = of;
    const g = this.context;
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.clearRect(0, 0, camera.width, camera.height);
    g.textAlign = "center";
    g.textBaseline = "alphabetic";
    g.lineJoin = "round";
    this.rects = [];
    this.shown = 0;
    this.blocked = [...taken];
    const spots = this.spots(seen, camera);
    this.glow(spots, marks, t);
    this.parent(layout, camera, meta, t);
    this.occupy(seen, camera, trailed);
    this.clusters(layout, camera, t);
    for (const i of this.order) if (items.alarm[i] >= 2) this.pill(spots.get(i), items, i, t);
    if (!meta.show_labels) return;
    for (const i of this.order) {
      if (this.shown >= meta.label_cap) break;
      const spot = spots.get(i);
      if (spot && this.child(spot, i, of)) this.shown++;
    }
  }

  private spots(seen: Projection, camera: OrbitCamera): Map<number, Spot> {
    const found = new Map<number, Spot>();
    for (const i of this.order) {
      if (i >= seen.count) continue;
      const spot = seen.spot(i);
      const inside = spot.x > -40 && spot.y > -40 && spot.x < camera.width + 40 && spot.y < camera.height + 40;
      if (spot.depth > 0 && inside) found.set(i, spot);
    }
    return found;
  }

  /** Names of the clusters, at the far side of each or, where there is no room, at the near one. */
  private clusters(layout: Layout, camera: OrbitCamera, t: Tokens): void {
    const spot: Spot = { x: 0, y: 0, r: 0, depth: 0 };
    for (const cluster of layout.clusters) {
      const w = this.measure(cluster.name, CLUSTER_FONT) + 12;
      for (const side of [-1, 1]) {
        camera.project(cluster.x, 0, cluster.z + side * cluster.r, 0, spot);
        const rect = { x: spot.x - w / 2, y: spot.y - 10 + side * 13, w, h: 20 };
        if (spot.depth <= 0 || !this.free(rect)) continue;
        this.take(rect);
        this.line(cluster.name, spot.x, rect.y + 14, CLUSTER_FONT, t.text2, t.bg);
        break;
      }
    }
  }

  private glow(spots: Map<number, Spot>, marks: Marks, t: Tokens): void {
    const spot = spots.get(marks.selected);
    if (!spot) return;
    const g = this.context;
    const outer = spot.r * 1.25 + 22;
    const fade = g.createRadialGradient(spot.x, spot.y, spot.r * 0.9, spot.x, spot.y, outer);
    fade.addColorStop(0, `${t.glow}66`);
    fade.addColorStop(1, `${t.glow}00`);
    g.fillStyle = fade;
    g.beginPath();
    g.arc(spot.x, spot.y, outer, 0, 2 * Math.PI);
    g.moveTo(spot.x + spot.r, spot.y);
    g.arc(spot.x, spot.y, spot.r, 0, 2 * Math.PI, true);
    g.fill();
  }

  private parent(layout: Layout, camera: OrbitCamera, meta: Meta, t: Tokens): void {
    const spot = camera.project(0, 0, 0, layout.centreRadius, this.centre);
    if (spot.depth <= 0) return;
    const text = { name: meta.parent.name, brief: "", old: false };
    const rect = this.below(spot, text, spot.r + 4);
    if (this.free(rect)) this.write(rect, text, t);
  }

  private child(spot: Spot, i: number, { items, meta, tokens: t, marks, trailed }: Written): boolean {
    const marked = i === marks.selected || i === marks.hovered;
    if (spot.r < SMALLEST && !marked && (items.alarm[i] < 2 || spot.r < SPECK)) return false;
    const text = { name: items.name.at(i), brief: brief(items, i, meta), old: items.stale[i] === 1 };
    const reach = Math.max(spot.r * 1.185, spot.r + 4) + (items.alarm[i] ? spot.r * 0.16 + 5 : 4);
    for (const shown of text.brief ? [text, { ...text, brief: "" }] : [text]) {
      const over = trailed.has(i) ? spot.r * (CURVE.up + CURVE.half) : reach;
      const places = this.places(spot, shown, reach, over, items.count).filter((p) => this.free(p));
      const last = marked || (items.alarm[i] >= 2 && !shown.brief) ? places[0] : undefined;
      const inside = shown.brief ? undefined : this.across(spot, shown);
      const chosen = places.find((p) => !this.covered.hits(p)) ?? inside ?? last;
      if (chosen) this.write(chosen, shown, t);
      if (chosen) return true;
    }
    return false;
  }

  /** Where a label may stand, the best place first: outwards where many spheres share the room. */
  private places(spot: Spot, text: Text, reach: number, over: number, count: number): Rect[] {
    const below = this.below(spot, text, reach);
    const above = this.above(spot, text, over);
    const [right, left] = this.beside(spot, text, reach);
    const dx = spot.x - this.centre.x;
    const dy = spot.y - this.centre.y;
    const aside = dx > 0 ? right : left;
    const outwards = dy > 0 && count > ROOMY ? [below, aside, above] : [above, aside, below];
    const wide = Math.abs(dx) > 1.3 * Math.abs(dy) && count > ROOMY;
    return wide ? [aside, ...outwards] : outwards;
  }

  /** Across its own sphere, where a short name fits nowhere else. */
  private across(spot: Spot, text: Text): Rect | undefined {
    const place = this.below(spot, text, 0);
    place.y = spot.y - place.h / 2;
    return spot.r * 1.7 > place.w && this.free(place) ? place : undefined;
  }

  /** Marks what spheres and curves cover, so that labels stand beside them. */
  private occupy({ x, y, r, depth, count }: Projection, camera: OrbitCamera, trailed: ReadonlySet<number>): void {
    this.covered.reset(camera.width, camera.height);
    this.covered.disc(this.centre.x, this.centre.y, this.centre.r);
    for (let i = 0; i < count; i++) {
      if (r[i] > SPECK && depth[i] > 0) this.covered.disc(x[i], y[i], r[i] * 1.06);
    }
    for (const i of trailed) {
      for (const aside of [-0.8, 0, 0.8]) this.covered.disc(x[i] + aside * r[i], y[i] - CURVE.up * r[i], CURVE.half * r[i]);
    }
  }

  private box(text: Text): { w: number; h: number } {
    const second = text.brief ? this.measure(text.brief, text.old ? AGE_FONT : BRIEF_FONT) : 0;
    return { w: Math.max(this.measure(text.name, NAME_FONT), second) + 6, h: text.brief ? 2 * LINE + 2 : LINE + 2 };
  }

  private below(spot: Spot, text: Text, reach: number): Rect {
    const { w, h } = this.box(text);
    return { x: spot.x - w / 2, y: spot.y + reach, w, h };
  }

  private above(spot: Spot, text: Text, reach: number): Rect {
    const { w, h } = this.box(text);
    return { x: spot.x - w / 2, y: spot.y - reach - h, w, h };
  }

  private beside(spot: Spot, text: Text, reach: number): Rect[] {
    const { w, h } = this.box(text);
    const y = spot.y - h / 2;
    return [{ x: spot.x + reach, y, w, h }, { x: spot.x - reach - w, y, w, h }];
  }

  private free(rect: Rect): boolean {
    const width = this.canvas.width / this.ratio;
    const height = this.canvas.height / this.ratio;
    if (rect.x < 2 || rect.y < 2 || rect.x + rect.w > width - 2 || rect.y + rect.h > height - 2) return false;
    return !this.blocked.some((b) => overlap(rect, b));
  }

  private write(rect: Rect, text: Text, t: Tokens): void {
    this.take(rect);
    const x = rect.x + rect.w / 2;
    this.line(text.name, x, rect.y + 13, NAME_FONT, t.text, t.bg);
    if (text.brief) this.line(text.brief, x, rect.y + 13 + LINE, text.old ? AGE_FONT : BRIEF_FONT, t.text2, t.bg);
  }

  private line(text: string, x: number, y: number, font: string, fill: string, halo: string): void {
    const g = this.context;
    g.font = font;
    g.lineWidth = 3.5;
    g.strokeStyle = halo;
    g.globalAlpha = 0.8;
    g.strokeText(text, x, y);
    g.globalAlpha = 1;
    g.fillStyle = fill;
    g.fillText(text, x, y);
  }

  private pill(spot: Spot | undefined, items: Items, i: number, t: Tokens): void {
    if (!spot || spot.r < SMALLEST) return;
    const text = alarmWord(items.alarm[i], items.alarmCount[i]);
    const w = this.measure(text, PILL_FONT) + 18;
    const right = { x: spot.x + spot.r * 0.75 + 2, y: spot.y - spot.r * 0.8 - 18, w, h: 20 };
    const left = { ...right, x: spot.x - spot.r * 0.75 - 2 - w };
    const rect = [right, left].find((place) => this.free(place));
    if (!rect) return;
    this.take(rect);
    const g = this.context;
    const solid = items.alarm[i] === 3;
    g.beginPath();
    g.roundRect(rect.x, rect.y, rect.w, rect.h, 10);
    g.fillStyle = solid ? t.alarmFill : t.raised;
    g.fill();
    g.strokeStyle = t.alarm;
    g.lineWidth = 1.5;
    if (!solid) g.stroke();
    g.font = PILL_FONT;
    g.fillStyle = solid ? "#ffffff" : t.alarm;
    g.fillText(text, rect.x + w / 2, rect.y + 14);
  }

  private take(rect: Rect): void {
    this.rects.push(rect);
    this.blocked.push(rect);
  }

  private measure(text: string, font: string): number {
    const key = font + text;
    const known = this.widths.get(key);
    if (known !== undefined) return known;
    if (this.widths.size > 4000) this.widths.clear();
    this.context.font = font;
    const width = this.context.measureText(text).width;
    this.widths.set(key, width);
    return width;
  }
}
