import type { Layout } from "./layouts/types";
import type { Items } from "./types";

const TRANSITION_MS = 340;
/** More than this many jump: every place goes to the GPU anew in each frame. */
export const GLIDE_MAX = 20_000;

/** Items on their way from where they were to where they belong. */
export class Transition {
  private readonly to: Float32Array;
  private readonly from: Float32Array;
  private readonly started: number;

  /** Items that were not there come out of their parents. */
  constructor(private readonly layout: Layout, items: Items, before: Layout, beforeItems: Items, now: number) {
    this.started = now;
    this.to = layout.spheres.slice();
    this.from = new Float32Array(this.to.length);
    const rows = new Map(beforeItems.id.all().map((id, row) => [id, row]));
    for (let i = 0; i < layout.count; i++) {
      const old = rows.get(items.id.at(i));
      const parent = layout.parentRow[i];
      if (old !== undefined) this.from.set(before.spheres.subarray(old * 4, old * 4 + 4), i * 4);
      else if (parent >= 0) this.from.set(this.from.subarray(parent * 4, parent * 4 + 3), i * 4);
    }
    this.step(now);
  }

  /** Moves the layout's spheres; true while there is more to come. */
  step(now: number): boolean {
    const progress = Math.min(1, Math.max(0, (now - this.started) / TRANSITION_MS));
    const ease = 1 - (1 - progress) ** 3;
    const { spheres } = this.layout;
    if (progress === 1) spheres.set(this.to);
    else for (let k = 0; k < spheres.length; k++) spheres[k] = this.from[k] + (this.to[k] - this.from[k]) * ease;
    return progress < 1;
  }
}
