import type { OrbitCamera } from "./camera";
import type { Layout } from "./layouts/types";
import type { Spot } from "./types";

/** Where all items are on the canvas, reckoned once for each view of them. */
export class Projection {
  x = new Float32Array(0);
  y = new Float32Array(0);
  r = new Float32Array(0);
  /** Distance from the eye; not above zero is behind it. */
  depth = new Float32Array(0);
  count = 0;
  private seenFrom = "";

  /** The items moved. */
  forget(): void {
    this.seenFrom = "";
  }

  refresh(layout: Layout, camera: OrbitCamera): void {
    const { seenFrom } = camera;
    if (this.seenFrom === seenFrom && this.count === layout.count) return;
    this.seenFrom = seenFrom;
    if (this.x.length !== layout.count) this.resize(layout.count);
    this.count = layout.count;
    this.fill(layout.spheres, camera);
  }

  spot(i: number): Spot {
    return { x: this.x[i], y: this.y[i], r: this.r[i], depth: this.depth[i] };
  }

  private resize(count: number): void {
    for (const name of ["x", "y", "r", "depth"] as const) this[name] = new Float32Array(count);
  }

  private fill(s: Float32Array, camera: OrbitCamera): void {
    const v = camera.camera.matrixWorldInverse.elements;
    const p = camera.camera.projectionMatrix.elements;
    const [v0, v1, v2, , v4, v5, v6, , v8, v9, v10, , v12, v13, v14] = v;
    const [halfWidth, halfHeight] = [camera.width / 2, camera.height / 2];
    const [p0, p5, p8, p9] = [p[0], p[5], p[8], p[9]];
    const { x, y, r, depth } = this;
    for (let i = 0, at = 0; i < this.count; i++, at += 4) {
      const sx = s[at];
      const sy = s[at + 1];
      const sz = s[at + 2];
      const radius = s[at + 3];
      const ex = v0 * sx + v4 * sy + v8 * sz + v12;
      const ey = v1 * sx + v5 * sy + v9 * sz + v13;
      const w = -(v2 * sx + v6 * sy + v10 * sz + v14);
      depth[i] = w;
      x[i] = ((p0 * ex) / w - p8 + 1) * halfWidth;
      y[i] = (1 - ((p5 * ey) / w - p9)) * halfHeight;
      const away = ex * ex + ey * ey + w * w - radius * radius;
      r[i] = (radius * p5 * halfHeight) / Math.sqrt(away > 1e-6 ? away : 1e-6);
    }
  }
}
