const FIXED: Record<string, { radius: number; distance: number }> = {
  modules: { radius: 10, distance: 100 },
  cells: { radius: 8, distance: 80 },
};
export const MIN_RADIUS = 6;
const LARGEST_CAPACITY = 400;

/** Capacities scaled so that the largest in view stays within what the scene can show. */
export function scaledCapacities(capacity: Float32Array): Float32Array {
  const largest = capacity.reduce((a, c) => (c > a ? c : a), 0);
  const scale = largest > LARGEST_CAPACITY ? LARGEST_CAPACITY / largest : 1;
  return capacity.map((c) => (c > 0 ? c * scale : Number.NaN));
}

export function isFixed(level: string): boolean {
  return level in FIXED;
}

export function sphereRadius(level: string, capacity: number): number {
  const fixed = FIXED[level];
  if (fixed) return fixed.radius;
  return Number.isNaN(capacity) ? MIN_RADIUS : Math.max(MIN_RADIUS, Math.sqrt(capacity) * 0.6);
}

export function sphereDistance(level: string, capacity: number): number {
  return FIXED[level]?.distance ?? 60 + (Number.isNaN(capacity) ? 0 : capacity * 0.25);
}

export function median(values: Float32Array): number {
  return values.length ? values.slice().sort()[values.length >> 1] : MIN_RADIUS;
}

/** Radii where several tiers are seen: by capacity among all of one tier, between half and whole. */
export function tierRadii(capacity: Float32Array, tier: Uint8Array): Float32Array {
  const largest = new Float32Array(256);
  for (let i = 0; i < capacity.length; i++) {
    if (capacity[i] > largest[tier[i]]) largest[tier[i]] = capacity[i];
  }
  return capacity.map((c, i) => 8 * Math.max(0.5, c > 0 ? Math.sqrt(c / largest[tier[i]]) : 0.5));
}
