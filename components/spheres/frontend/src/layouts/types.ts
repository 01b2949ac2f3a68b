/** A circle in the ground plane. */
export interface Circle {
  x: number;
  z: number;
  r: number;
}

/** A named cluster of items. */
export interface Cluster extends Circle {
  name: string;
}

/** Positions and radii in scene units; the place itself stands at the origin. */
export interface Layout {
  count: number;
  /** x, y, z, radius of each item. */
  spheres: Float32Array;
  /** The radii as they were laid out. */
  radii: Float32Array;
  /** How far an item and all that is around it reach. */
  reach: Float32Array;
  /** Row of the item that a spoke comes from; -1 is the centre. */
  parentRow: Int32Array;
  /** The rows that stand directly around the centre. */
  tops: Int32Array;
  centreRadius: number;
  circles: Circle[];
  clusters: Cluster[];
  extent: number;
  /** How far out things circle the centre; 0 where nothing does. */
  sweep: number;
  /** The smallest radius. */
  smallest: number;
  /** From how high one looks at first [rad]; null leaves it to the canvas. */
  elevation: number | null;
  /** The capacities that the radii were made of. */
  capacityKwh: Float32Array;
}

/** Whether something of its own stands around an item. */
export function isSurrounded({ reach, spheres }: Pick<Layout, "reach" | "spheres">, row: number): boolean {
  return reach[row] > spheres[row * 4 + 3] * 1.01;
}

/** How far the scene reaches: what is outermost, and never less than the centre needs. */
export function extentOf(outermost: number, centreRadius: number): number {
  return Math.max(outermost, centreRadius * 2);
}

/** Places in a plane: a to the right, b away from the eye. */
export interface Slots {
  a: Float32Array;
  b: Float32Array;
  /** How far they reach, with what stands on them. */
  reach: number;
}
