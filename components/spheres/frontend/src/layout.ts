import type { Items } from "./types";

/** Positions and radii in scene units; the parent stands at the origin. */
export interface Layout {
  count: number;
  /** x, y, z, radius of each child. */
  spheres: Float32Array;
  centreRadius: number;
  orbits: number[];
  extent: number;
}

const FIXED: Record<string, { radius: number; distance: number }> = {
  modules: { radius: 10, distance: 100 },
  cells: { radius: 8, distance: 80 },
};
/** Up to this many children every label finds room below its sphere. */
export const ROOMY = 9;
const RING_MAX = 31;
const MIN_RADIUS = 6;
const LARGEST_CAPACITY = 400;
const NEIGHBOUR_ROOM = 2.9;
const FILL = 0.125;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

/** Capacities scaled so that the largest in view stays within what the scene can show. */
export function scaledCapacities(capacity: Float32Array): Float32Array {
  const largest = capacity.reduce((a, c) => (c > a ? c : a), 0);
  const scale = largest > LARGEST_CAPACITY ? LARGEST_CAPACITY / largest : 1;
  return capacity.map((c) => (c > 0 ? c * scale : Number.NaN));
}

export function sphereRadius(level: string, capacity: number): number {
  const fixed = FIXED[level];
  if (fixed) return fixed.radius;
  return Number.isNaN(capacity) ? MIN_RADIUS : Math.max(MIN_RADIUS, Math.sqrt(capacity) * 0.6);
}

export function sphereDistance(level: string, capacity: number): number {
  return FIXED[level]?.distance ?? 60 + (Number.isNaN(capacity) ? 0 : capacity * 0.25);
}

function median(values: Float32Array): number {
  return values.length ? values.slice().sort()[values.length >> 1] : MIN_RADIUS;
}

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

function ring(radii: Float32Array, distances: Float32Array, centre: number): Float32Array {
  const n = radii.length;
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

function disc(radii: Float32Array, centre: number): Float32Array {
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

function distance(spheres: Float32Array, i: number): number {
  return Math.hypot(spheres[i * 4], spheres[i * 4 + 2]);
}

/** At most three circles: through the nearest, the middle and the farthest child. */
function orbits(spheres: Float32Array): number[] {
  const n = spheres.length / 4;
  if (n === 0) return [];
  const all = Array.from({ length: n }, (_, i) => distance(spheres, i)).sort((a, b) => a - b);
  const picked = n > RING_MAX ? [all[n - 1]] : [all[0], all[n >> 1], all[n - 1]];
  return picked.filter((d, i) => i === 0 || d - picked[i - 1] > 0.07 * d);
}

export function layOut(items: Items, level: string): Layout {
  const capacity = scaledCapacities(items.capacityKwh);
  const name = level.toLowerCase();
  const raw = capacity.map((c) => sphereRadius(name, c));
  const typical = median(raw);
  const crowded = items.count > RING_MAX;
  const radii = crowded ? raw.map((r) => Math.min(r, 2 * typical)) : raw;
  const centreRadius = Math.max(8, typical * 1.2);
  const distances = capacity.map((c) => sphereDistance(name, c));
  const spheres = crowded ? disc(radii, centreRadius) : ring(radii, distances, centreRadius);
  let extent = centreRadius * 2;
  for (let i = 0; i < items.count; i++) extent = Math.max(extent, distance(spheres, i) + radii[i]);
  return { count: items.count, spheres, centreRadius, orbits: orbits(spheres), extent };
}
