import type { Items } from "../types";
import { type Layout, extentOf, isSurrounded } from "./types";

/** More than this many stand still: every place goes to the GPU anew in each frame. */
export const ORBITS_MAX = 2000;
/** Turns of the slowest and the fastest orbit [rad/s]. */
const SLOWEST = 0.05;
const FASTEST = 0.5;
/** Below this share of the largest power an item does not circle. */
const IDLE = 0.005;
/** Share of the way to its place that an item goes in a second. */
const PULL = 2.5;
/** Orbits are given out anew after so long [s], so that small changes do not make things swap. */
const KEPT_S = 8;
/** Up to this many items each has an orbit of its own. */
const ALONE = 6;

/** Items on one circle, which they go round together. */
interface Orbit {
  distance: number;
  /** [rad/s]; negative for those that charge. */
  speed: number;
  phase: number;
  rows: number[];
}

function wrapped(angle: number): number {
  return angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
}

/** Items that circle the centre, nearer and faster the more power they have, as planets do, and the
 * other way round while charging. Those with about the same power share an orbit, so that nothing
 * runs into anything. */
export class Orbits {
  private readonly angle: Float32Array;
  private readonly distance: Float32Array;
  /** How far an item is off its place on its orbit [rad]. */
  private readonly lag: Float32Array;
  private readonly home: Float32Array;
  private readonly room: number;
  private orbits: Orbit[] = [];
  private age = Number.POSITIVE_INFINITY;

  constructor(private readonly layout: Layout, items: Items) {
    const n = layout.count;
    this.home = layout.spheres.slice();
    [this.angle, this.distance, this.lag] = [new Float32Array(n), new Float32Array(n), new Float32Array(n)];
    let reach = 0;
    for (const i of layout.tops) reach = Math.max(reach, layout.reach[i] * (isSurrounded(layout, i) ? 1.04 : 1.35));
    this.room = reach;
    this.advance(0, items, true);
    layout.circles = this.orbits.map(({ distance }) => ({ x: 0, z: 0, r: distance }));
    const last = this.orbits[this.orbits.length - 1];
    layout.sweep = (last?.distance ?? 0) + reach;
    layout.extent = extentOf(layout.sweep, layout.centreRadius);
  }

  get moves(): boolean {
    return this.layout.count > 0 && this.layout.count <= ORBITS_MAX;
  }

  /** Where things are `seconds` later; with `still` they are at their places and do not circle. */
  advance(seconds: number, items: Items, still: boolean): void {
    this.age += seconds;
    if (this.age > KEPT_S || (still && seconds === 0)) this.assign(items);
    for (const orbit of this.orbits) {
      if (!still) orbit.phase += orbit.speed * seconds;
      orbit.rows.forEach((i, k) => {
        const part = still ? 1 : Math.min(1, PULL * seconds);
        this.distance[i] += (orbit.distance - this.distance[i]) * part;
        this.lag[i] *= 1 - part;
        this.angle[i] = orbit.phase + (2 * Math.PI * k) / orbit.rows.length + this.lag[i];
      });
    }
    this.place();
  }

  /** Orbits from the inside outwards: the most powerful first, one way on each. */
  private assign(items: Items): void {
    this.age = 0;
    const power = (i: number) => Math.abs(items.powerKw[i]) || 0;
    const falling = (rows: number[]) => rows.sort((a, b) => power(b) - power(a));
    const tops = [...this.layout.tops];
    const charging = falling(tops.filter((i) => items.powerKw[i] < 0));
    const others = falling(tops.filter((i) => !(items.powerKw[i] < 0)));
    const largest = Math.max(power(charging[0] ?? -1), power(others[0] ?? -1)) || 1;
    const n = tops.length;
    const each = n <= ALONE ? 1 : Math.ceil(n / (Math.ceil(Math.sqrt(n)) + 1));
    const before = this.orbits;
    this.orbits = [];
    let distance = this.layout.centreRadius * 1.25 + this.room;
    while (charging.length + others.length > 0) {
      const ahead = power(charging[0] ?? -1) > power(others[0] ?? -1) || others.length === 0;
      const fits = Math.max(1, Math.floor(Math.PI / Math.asin(Math.min(1, this.room / distance))));
      const rows = (ahead ? charging : others).splice(0, Math.min(each, fits));
      const share = rows.reduce((sum, i) => sum + power(i), 0) / rows.length / largest;
      const speed = share > IDLE ? (ahead ? -1 : 1) * (SLOWEST + (FASTEST - SLOWEST) * share) : 0;
      const phase = before[this.orbits.length]?.phase ?? this.orbits.length * 2.4;
      this.orbits.push({ distance, speed, phase, rows });
      distance += 2 * this.room;
    }
    this.keep();
  }

  /** Nobody jumps: who has another place now is on the way to it. */
  private keep(): void {
    for (const { rows, phase } of this.orbits) {
      rows.forEach((i, k) => { this.lag[i] = wrapped(this.angle[i] - phase - (2 * Math.PI * k) / rows.length); });
    }
  }

  private place(): void {
    const { spheres, parentRow, count } = this.layout;
    for (let i = 0; i < count; i++) {
      const parent = parentRow[i];
      const at = i * 4;
      if (parent < 0) {
        spheres[at] = Math.sin(this.angle[i]) * this.distance[i];
        spheres[at + 2] = Math.cos(this.angle[i]) * this.distance[i];
      } else {
        spheres[at] = spheres[parent * 4] + this.home[at] - this.home[parent * 4];
        spheres[at + 2] = spheres[parent * 4 + 2] + this.home[at + 2] - this.home[parent * 4 + 2];
      }
    }
  }
}
