import type { OrbitCamera } from "./camera";
import type { Layout } from "./layout";
import type { Spot } from "./types";

export const MOUSE_REACH = 12;
export const TOUCH_REACH = 22;
const RING = 1.22;

/** The front-most sphere under the point, or the closest one within reach; -1 for none. */
export function pick(layout: Layout, camera: OrbitCamera, x: number, y: number, reach: number): number {
  const spot: Spot = { x: 0, y: 0, r: 0, depth: 0 };
  let best = -1;
  let bestDepth = Infinity;
  let near = -1;
  let nearDistance = Infinity;
  const s = layout.spheres;
  for (let i = 0; i < layout.count; i++) {
    camera.project(s[i * 4], s[i * 4 + 1], s[i * 4 + 2], s[i * 4 + 3], spot);
    if (spot.depth <= 0) continue;
    const d = Math.hypot(spot.x - x, spot.y - y);
    if (d <= spot.r && spot.depth < bestDepth) {
      best = i;
      bestDepth = spot.depth;
    } else if (d <= Math.max(spot.r * RING, reach) && d < nearDistance) {
      near = i;
      nearDistance = d;
    }
  }
  return best >= 0 ? best : near;
}
