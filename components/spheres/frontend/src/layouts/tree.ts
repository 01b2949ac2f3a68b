import type { Items } from "../types";

/** Who stands around whom: children of each row, the place's own ones at the row -1. */
export class Tree {
  /** Row of the parent, -1 where there is none or where the one named does not come before. */
  readonly parentRow: Int32Array;
  private readonly begin: Int32Array;
  private readonly kids: Int32Array;

  constructor(items: Items) {
    const n = items.count;
    this.parentRow = items.parentRow.slice(0, n).map((p, i) => (p >= 0 && p < i ? p : -1));
    this.begin = new Int32Array(n + 2);
    for (const parent of this.parentRow) this.begin[parent + 2]++;
    for (let i = 1; i < this.begin.length; i++) this.begin[i] += this.begin[i - 1];
    const next = this.begin.slice();
    this.kids = new Int32Array(n);
    for (let i = 0; i < n; i++) this.kids[next[this.parentRow[i] + 1]++] = i;
  }

  /** Rows of the children, in their order; -1 asks for the place's own. */
  of(row: number): Int32Array {
    return this.kids.subarray(this.begin[row + 1], this.begin[row + 2]);
  }

  get deep(): boolean {
    return this.begin[1] < this.kids.length;
  }
}
