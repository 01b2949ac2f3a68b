import type { Layout } from "./layouts/types";
import type { Trails } from "./types";

/** More items than this, and trails would be a fog; the viewer then says so. */
export const TRAILS_MAX = 2000;
/** Points of one trail; of more, every so many is drawn. */
const POINTS = 24;

/** Short lines that are drawn facing the eye, above the item they belong to. */
export interface Sparks {
  count: number;
  row: Int32Array;
  /** x y of the beginning and the end of each, in radii of the item. */
  places: Float32Array;
  /** 0 old to 255 now. */
  strength: Uint8Array;
}

export const NO_SPARKS: Sparks = {
  count: 0, row: new Int32Array(0), places: new Float32Array(0), strength: new Uint8Array(0),
};

interface Point {
  ageS: number;
  value: number;
}

function byRow(trails: Trails, count: number): Map<number, Point[]> {
  const found = new Map<number, Point[]>();
  for (let i = 0; i < trails.count; i++) {
    const [row, ageS, value] = [trails.row[i], trails.ageS[i], trails.value[i]];
    if (row < 0 || row >= count || !Number.isFinite(ageS)) continue;
    const points = found.get(row) ?? [];
    points.push({ ageS, value });
    found.set(row, points);
  }
  return found;
}

function thinned(points: Point[]): Point[] {
  const sorted = points.sort((a, b) => b.ageS - a.ageS);
  const step = Math.ceil(sorted.length / POINTS);
  return sorted.filter((_, k) => (sorted.length - 1 - k) % step === 0);
}

/** The course of each item's value as a small curve above it, all to one scale; a value that is
 * not known leaves a gap. */
export function sparksOf(trails: Trails | null, layout: Layout): Sparks {
  if (!trails || layout.count > TRAILS_MAX) return NO_SPARKS;
  const lines = [...byRow(trails, layout.count)].map(([row, points]) => [row, thinned(points)] as const);
  const all = lines.flatMap(([, points]) => points);
  const known = all.map((p) => p.value).filter(Number.isFinite);
  const oldest = all.reduce((most, p) => Math.max(most, p.ageS), 1e-9);
  const low = known.reduce((a, v) => Math.min(a, v), Infinity);
  const span = Math.max(known.reduce((a, v) => Math.max(a, v), -Infinity) - low, 1e-9);
  const x = (p: Point) => 1.3 - (2.6 * p.ageS) / oldest;
  const y = (p: Point) => 1.5 + (0.9 * (p.value - low)) / span;
  const [row, places, strength]: [number[], number[], number[]] = [[], [], []];
  for (const [at, points] of lines) {
    for (let k = 1; k < points.length; k++) {
      const [a, b] = [points[k - 1], points[k]];
      if (!Number.isFinite(a.value) || !Number.isFinite(b.value)) continue;
      row.push(at);
      places.push(x(a), y(a), x(b), y(b));
      strength.push(Math.round(255 * (1 - (0.85 * b.ageS) / oldest)));
    }
  }
  return {
    count: row.length, row: Int32Array.from(row), places: Float32Array.from(places),
    strength: Uint8Array.from(strength),
  };
}
