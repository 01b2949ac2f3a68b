import type { OrbitCamera } from "./camera";
import { alarmWord, brief } from "./format";
import { type Layout, ROOMY } from "./layout";
import { Occupancy } from "./occupancy";
import type { Tokens } from "./palette";
import type { Marks } from "./spheres";
import type { Items, Meta, Rect, Spot } from "./types";

const FAMILY = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif';
const NAME_FONT = `600 13.5px ${FAMILY}`;
const BRIEF_FONT = `400 12.5px ${FAMILY}`;
const AGE_FONT = `600 12.5px ${FAMILY}`;
const PILL_FONT = `600 12px ${FAMILY}`;
const LINE = 16;
const SMALLEST = 4;
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

/** Indices of the `wanted` highest scores, highest first. */
function best(scores: Float64Array, wanted: number): number[] {
  const least = scores.length > wanted ? scores.slice().sort()[scores.length - wanted] : -Infinity;
  const above: number[] = [];
  const level: number[] = [];
  scores.forEach((s, i) => (s > least ? above : level.length < wanted && s === least ? level : []).push(i));
  return [...above.sort((a, b) => scores[b] - scores[a] || a - b), ...level].slice(0, wanted);
}

/** Names over the scene on one 2D canvas; no two of them overlap. */
export class Labels {
  readonly canvas = document.createElement("canvas");
  rects: Rect[] = [];
  shown = 0;
  private readonly context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
  private readonly widths = new Map<string, number>();
  private order: number[] = [];
  private blocked: Rect[] = [];
  private readonly covered = new Occupancy();
  private centre: Spot = { x: 0, y: 0, r: 0, depth: 0 };
  private ratio = 1;

  /** Measures anew, for instance when a font has arrived. */
  forget(): void {
    this.widths.clear();
  }

  resize(width: number, height: number, ratio: number): void {
    this.ratio = ratio;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  /** Ranks the children: marked first, then alarmed, then by power; keeps the best candidates. */
  rank(items: Items, marks: Marks, cap: number): void {
    const score = (i: number) => {
      if (i === marks.selected) return 5e12;
      if (i === marks.hovered) return 4e12;
      const kw = Math.abs(items.powerKw[i]);
      return items.alarm[i] * 1e12 + (Number.isNaN(kw) ? 0 : Math.min(kw, 1e11));
    };
    const scores = Float64Array.from({ length: items.count }, (_, i) => score(i));
    this.order = best(scores, cap * CANDIDATES);
  }

  draw(layout: Layout, camera: OrbitCamera, items: Items, meta: Meta, t: Tokens, marks: Marks, taken: Rect[]): void {
    const g = this.context;
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.clearRect(0, 0, camera.width, camera.height);
    g.textAlign = "center";
    g.textBaseline = "alphabetic";
    g.lineJoin = "round";
    this.rects = [];
    this.shown = 0;
    this.blocked = [...taken];
    const spots = this.spots(layout, camera);
    this.glow(spots, marks, t);
    this.parent(layout, camera, meta, t);
    this.occupy(layout, camera);
    for (const i of this.order) if (items.alarm[i] >= 2) this.pill(spots.get(i), items, i, t);
    if (!meta.show_labels) return;
    for (const i of this.order) {
      if (this.shown >= meta.label_cap) break;
      const spot = spots.get(i);
      if (spot && this.child(spot, i, items, meta, t, marks)) this.shown++;
    }
  }

  private spots(layout: Layout, camera: OrbitCamera): Map<number, Spot> {
    const found = new Map<number, Spot>();
    const s = layout.spheres;
    for (const i of this.order) {
      const spot = camera.project(s[i * 4], s[i * 4 + 1], s[i * 4 + 2], s[i * 4 + 3], { x: 0, y: 0, r: 0, depth: 0 });
      const inside = spot.x > -40 && spot.y > -40 && spot.x < camera.width + 40 && spot.y < camera.height + 40;
      if (spot.depth > 0 && inside) found.set(i, spot);
    }
    return found;
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

  private child(spot: Spot, i: number, items: Items, meta: Meta, t: Tokens, marks: Marks): boolean {
    const marked = i === marks.selected || i === marks.hovered;
    if (spot.r < SMALLEST && !marked && items.alarm[i] < 2) return false;
    const text = { name: items.name[i], brief: brief(items, i, meta.sign), old: items.stale[i] === 1 };
    const reach = Math.max(spot.r * 1.185, spot.r + 4) + (items.alarm[i] ? spot.r * 0.16 + 5 : 4);
    for (const shown of text.brief ? [text, { ...text, brief: "" }] : [text]) {
      const places = this.places(spot, shown, reach, items.count).filter((p) => this.free(p));
      const last = marked || (items.alarm[i] >= 2 && !shown.brief) ? places[0] : undefined;
      const inside = shown.brief ? undefined : this.across(spot, shown);
      const chosen = places.find((p) => !this.covered.hits(p)) ?? inside ?? last;
      if (chosen) this.write(chosen, shown, t);
      if (chosen) return true;
    }
    return false;
  }

  /** Where a label may stand, the best place first: outwards where many spheres share the room. */
  private places(spot: Spot, text: Text, reach: number, count: number): Rect[] {
    const below = this.below(spot, text, reach);
    const above = this.above(spot, text, reach);
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

  /** Marks what the spheres cover, so that labels stand beside them. */
  private occupy(layout: Layout, camera: OrbitCamera): void {
    const spot: Spot = { x: 0, y: 0, r: 0, depth: 0 };
    const s = layout.spheres;
    this.covered.reset(camera.width, camera.height);
    this.covered.disc(this.centre.x, this.centre.y, this.centre.r);
    for (let i = 0; i < layout.count; i++) {
      camera.project(s[i * 4], s[i * 4 + 1], s[i * 4 + 2], s[i * 4 + 3], spot);
      if (spot.depth > 0) this.covered.disc(spot.x, spot.y, spot.r * 1.06);
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
