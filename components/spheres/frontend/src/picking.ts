import type { Projection } from "./projection";

export const MOUSE_REACH = 12;
export const TOUCH_REACH = 22;
const RING = 1.22;

/** The front-most item under the point, or the closest one within reach; -1 for none. */
export function pick(seen: Projection, x: number, y: number, reach: number): number {
  const { x: xs, y: ys, r: rs, depth, count } = seen;
  let best = -1;
  let bestDepth = Infinity;
  let near = -1;
  let nearDistance = Infinity;
  for (let i = 0; i < count; i++) {
    const r = rs[i];
    const wide = r * RING > reach ? r * RING : reach;
    const dx = xs[i] - x;
    if (dx > wide || dx < -wide) continue;
    const dy = ys[i] - y;
    if (dy > wide || dy < -wide || depth[i] <= 0) continue;
    const d = Math.sqrt(dx * dx + dy * dy);
    if (d <= r && depth[i] < bestDepth) {
      best = i;
      bestDepth = depth[i];
    } else if (d <= wide && d < nearDistance) {
      near = i;
      nearDistance = d;
    }
  }
  return best >= 0 ? best : near;
}
