import type { Slots } from "./types";

const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
/** Distance of neighbours in phyllotaxis for a spacing of one. */
const NEIGHBOURS = 1.62;

function slots(n: number, at: (i: number) => [number, number], foot: (i: number) => number): Slots {
  const found: Slots = { a: new Float32Array(n), b: new Float32Array(n), reach: 0 };
  for (let i = 0; i < n; i++) {
    const [a, b] = at(i);
    found.a[i] = a;
    found.b[i] = b;
    found.reach = Math.max(found.reach, Math.hypot(a, b) + foot(i));
  }
  return found;
}

/** Angles that neighbours on a circle of the radius d need, from each to the next one. */
function steps(feet: Float32Array, d: number): Float32Array {
  const n = feet.length;
  return feet.map((foot, i) => 2 * Math.asin(Math.min(1, (0.525 * (foot + feet[(i + 1) % n])) / d)));
}

function sum(values: Float32Array): number {
  return values.reduce((a, v) => a + v, 0);
}

/** Things of these radii on a circle around a thing of the radius `middle`, as near as they can. */
export function ringSlots(feet: Float32Array, middle: number): Slots {
  const n = feet.length;
  const largest = feet.reduce((a, foot) => Math.max(a, foot), 0);
  let near = middle ? middle + largest * 1.15 : n > 1 ? largest * 1.05 : 0;
  let far = n > 1 ? Math.max(near, largest * n) : near;
  if (n > 1 && sum(steps(feet, near)) <= 2 * Math.PI) far = near;
  for (let k = 0; k < 30 && far > near; k++) {
    const half = (near + far) / 2;
    if (sum(steps(feet, half)) > 2 * Math.PI) near = half;
    else far = half;
  }
  const turns = n > 1 ? steps(feet, far) : new Float32Array(1);
  const spare = (2 * Math.PI - sum(turns)) / n;
  let angle = n % 2 === 0 ? (turns[n - 1] + spare) / 2 : 0;
  const angles = Array.from(turns, (turn) => {
    const here = angle;
    angle += turn + spare;
    return here;
  });
  return slots(n, (i) => [Math.sin(angles[i]) * far, Math.cos(angles[i]) * far], (i) => feet[i]);
}

/** The same on a disc, as the seeds of a sunflower; room: distance of neighbours in radii. */
export function discSlots(n: number, foot: number, middle: number, room: number): Slots {
  const c = (foot * room) / NEIGHBOURS;
  const skip = middle ? Math.ceil(((middle + 1.3 * foot) / c) ** 2) : 0.4;
  return slots(n, (i) => {
    const d = c * Math.sqrt(i + skip);
    return [Math.sin(i * GOLDEN_ANGLE) * d, Math.cos(i * GOLDEN_ANGLE) * d];
  }, () => foot);
}

/** The same in rows on an upright wall that begins above the middle. */
export function wallSlots(n: number, foot: number, middle: number): Slots {
  const step = foot * 2.5;
  const columns = Math.max(1, Math.ceil(Math.sqrt(n * 1.7)));
  const rows = Math.ceil(n / columns);
  const top = middle + foot * 1.6 + (rows - 1) * step;
  return slots(n, (i) => {
    const row = Math.floor(i / columns);
    const across = Math.min(columns, n - row * columns);
    return [(i % columns - (across - 1) / 2) * step, top - row * step];
  }, () => foot);
}

/** Unit vectors of n places spread evenly on a sphere, x y z each. */
export function shellDirections(n: number): Float32Array {
  const found = new Float32Array(n * 3);
  for (let i = 0; i < n; i++) {
    const y = n > 1 ? 1 - (2 * (i + 0.5)) / n : 0;
    const flat = Math.sqrt(1 - y * y);
    found.set([Math.sin(i * GOLDEN_ANGLE) * flat, y, Math.cos(i * GOLDEN_ANGLE) * flat], i * 3);
  }
  return found;
}

/** Radius of the sphere on which n things of the radius `foot` keep apart. */
export function shellRadius(n: number, foot: number, middle: number): number {
  return Math.max((2.4 * foot * Math.sqrt(n)) / 3.1, middle + foot * 1.8);
}
