import type { Items, Marks } from "./types";

/** A heap of the best scores so far, the least of them on top. */
class Best {
  private readonly rows: Int32Array;
  private readonly scores: Float64Array;
  private size = 0;

  constructor(private readonly wanted: number) {
    this.rows = new Int32Array(wanted);
    this.scores = new Float64Array(wanted);
  }

  offer(row: number, score: number): void {
    if (this.size < this.wanted) this.rise(this.size++, row, score);
    else if (score > this.scores[0]) this.sink(row, score);
  }

  /** Highest first; the earlier row of two with one score. */
  sorted(): number[] {
    const order = Array.from({ length: this.size }, (_, k) => k);
    order.sort((a, b) => this.scores[b] - this.scores[a] || this.rows[a] - this.rows[b]);
    return order.map((k) => this.rows[k]);
  }

  private rise(at: number, row: number, score: number): void {
    let here = at;
    while (here > 0) {
      const above = (here - 1) >> 1;
      if (this.scores[above] <= score) break;
      this.put(here, this.rows[above], this.scores[above]);
      here = above;
    }
    this.put(here, row, score);
  }

  private sink(row: number, score: number): void {
    let here = 0;
    for (;;) {
      let below = 2 * here + 1;
      if (below >= this.size) break;
      if (below + 1 < this.size && this.scores[below + 1] < this.scores[below]) below++;
      if (this.scores[below] >= score) break;
      this.put(here, this.rows[below], this.scores[below]);
      here = below;
    }
    this.put(here, row, score);
  }

  private put(at: number, row: number, score: number): void {
    this.rows[at] = row;
    this.scores[at] = score;
  }
}

/** Rows in the order in which they should have a label, `wanted` at most: marked ones first, then
 * by alarm, what passes the filter, upper tiers, power. */
export function ranked(items: Items, marks: Marks, wanted: number): number[] {
  if (wanted < 1) return [];
  const best = new Best(Math.min(wanted, Math.max(items.count, 1)));
  const { alarm, dim, tier, powerKw } = items;
  for (let i = 0; i < items.count; i++) {
    const kw = powerKw[i] < 0 ? -powerKw[i] : powerKw[i];
    const own = kw < 1e7 ? kw : kw === kw ? 1e7 : 0;
    let score = alarm[i] * 1e12 + (dim[i] ? 0 : 2e11) - tier[i] * 1e8 + own;
    if (i === marks.selected) score = 5e12;
    else if (i === marks.hovered) score = 4.5e12;
    best.offer(i, score);
  }
  return best.sorted();
}
