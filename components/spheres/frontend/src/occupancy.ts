import type { Rect } from "./types";

const CELL = 5;

/** Which parts of the canvas spheres cover, on a coarse grid. */
export class Occupancy {
  private columns = 0;
  private rows = 0;
  private cells = new Uint8Array(0);

  reset(width: number, height: number): void {
    this.columns = Math.ceil(width / CELL);
    this.rows = Math.ceil(height / CELL);
    const size = this.columns * this.rows;
    if (this.cells.length === size) this.cells.fill(0);
    else this.cells = new Uint8Array(size);
  }

  disc(x: number, y: number, r: number): void {
    if (r < CELL) this.speck(x, y);
    const first = Math.max(0, Math.round((y - r) / CELL));
    const last = Math.min(this.rows - 1, Math.round((y + r) / CELL) - 1);
    for (let row = first; row <= last; row++) {
      const dy = (row + 0.5) * CELL - y;
      const half = Math.sqrt(Math.max(0, r * r - dy * dy));
      const left = Math.max(0, Math.round((x - half) / CELL));
      const right = Math.min(this.columns, Math.round((x + half) / CELL));
      if (left < right) this.cells.fill(1, row * this.columns + left, row * this.columns + right);
    }
  }

  /** The one cell that something small is in. */
  private speck(x: number, y: number): void {
    const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
    if (column >= 0 && row >= 0 && column < this.columns && row < this.rows) this.cells[row * this.columns + column] = 1;
  }

  /** Whether a sphere covers part of the rectangle. */
  hits(rect: Rect): boolean {
    const left = Math.max(0, Math.floor(rect.x / CELL));
    const right = Math.min(this.columns, Math.ceil((rect.x + rect.w) / CELL));
    const last = Math.min(this.rows, Math.ceil((rect.y + rect.h) / CELL));
    for (let row = Math.max(0, Math.floor(rect.y / CELL)); row < last; row++) {
      const start = row * this.columns;
      if (this.cells.subarray(start + left, start + right).includes(1)) return true;
    }
    return false;
  }
}
