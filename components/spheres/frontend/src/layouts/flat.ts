import { sphereDistance } from "./sizes";

const NEIGHBOUR_ROOM = 2.9;
const FILL = 0.125;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

/** Smallest factor on the distances at which neighbours on the ring keep apart. */
function ringScale(radii: Float32Array, distances: Float32Array, centre: number): number {
  const n = radii.length;
  const half = Math.sin(Math.PI / Math.max(n, 2));
  let needed = 0;
  let fill = 0;
  for (let i = 0; i < n; i++) {
    const j = (i + 1) % n;
    const room = (NEIGHBOUR_ROOM / 2) * (radii[i] + radii[j]);
    const near = Math.min(distances[i], distances[j]);
    needed = Math.max(needed, n > 1 ? room / (2 * half * near) : 0);
    needed = Math.max(needed, (centre + 2.6 * radii[i]) / distances[i]);
    fill += radii[i] / (FILL * distances[i] * n);
  }
  return Math.max(needed, fill);
}

/** Children on one ring, farther out the more they hold: few of them, one level. */
export function ring(level: string, capacity: Float32Array, radii: Float32Array, centre: number): Float32Array {
  const n = radii.length;
  const distances = capacity.map((c) => sphereDistance(level, c));
  const scale = ringScale(radii, distances, centre);
  const step = (2 * Math.PI) / Math.max(n, 1);
  const start = n % 2 === 0 ? step / 2 : 0;
  const spheres = new Float32Array(n * 4);
  for (let i = 0; i < n; i++) {
    const angle = start + i * step;
    const d = distances[i] * scale;
    spheres.set([Math.sin(angle) * d, 0, -Math.cos(angle) * d, radii[i]], i * 4);
  }
  return spheres;
}

/** Children on a disc: many of them, one level. */
export function disc(radii: Float32Array, centre: number): Float32Array {
  const n = radii.length;
  const largest = radii.reduce((a, r) => Math.max(a, r), 0);
  const room = n > 120 ? 2.75 : 3.1;
  const c = (largest * room) / 1.62;
  const skip = Math.ceil(((centre + 2 * largest) / c) ** 2);
  const spheres = new Float32Array(n * 4);
  for (let i = 0; i < n; i++) {
    const d = c * Math.sqrt(i + skip);
    const angle = i * GOLDEN_ANGLE;
    spheres.set([Math.sin(angle) * d, 0, -Math.cos(angle) * d, radii[i]], i * 4);
  }
  return spheres;
}

/** At most three circles: through the nearest, the middle and the farthest child. */
export function orbitsOf(spheres: Float32Array, crowded: boolean): number[] {
  const n = spheres.length / 4;
  if (n === 0) return [];
  const all = Array.from({ length: n }, (_, i) => Math.hypot(spheres[i * 4], spheres[i * 4 + 2])).sort((a, b) => a - b);
  const picked = crowded ? [all[n - 1]] : [all[0], all[n >> 1], all[n - 1]];
  return picked.filter((d, i) => i === 0 || d - picked[i - 1] > 0.07 * d);
}
