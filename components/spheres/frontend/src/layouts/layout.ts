import type { Items, LayoutName } from "../types";
import { disc, orbitsOf, ring } from "./flat";
import { isFixed, median, scaledCapacities, sphereRadius, tierRadii } from "./sizes";
import { discSlots, ringSlots, shellDirections, shellRadius, wallSlots } from "./slots";
import { Tree } from "./tree";
import { type Circle, type Cluster, type Layout, type Slots, extentOf } from "./types";

/** Up to this many children every label finds room below its sphere. */
export const ROOMY = 9;
const RING_MAX = 31;
const NESTED_RING_MAX = 8;
/** Distance of neighbours in radii: of spheres with their rings, of whole discs. */
const APART = 2.75;
const CLOSE = 2.1;
/** How much of the differences in size between siblings is left: 1 all of it, 0 nothing. */
const UNEVEN = 0.25;
const WALL_ELEVATION = 0.16;
const SHELL_ELEVATION = 0.42;
const SHRUNK = 0.6;
const GROWN = 1.6;

interface Around {
  slots: Slots;
  rows: Int32Array;
}

function largestOf(rows: Int32Array, values: Float32Array): number {
  let largest = 0;
  for (const row of rows) if (values[row] > largest) largest = values[row];
  return largest;
}

/** Puts children around their parents, from the leaves inwards; what is around one item is scaled so
 * that siblings take about as much room, however much they hold. */
class Nest {
  /** Where each item is, seen from its parent, in the units of the parent's surroundings. */
  private readonly a: Float32Array;
  private readonly b: Float32Array;
  /** What an item and its surroundings are multiplied by. */
  private readonly scale: Float32Array;
  readonly reach: Float32Array;
  readonly clusters: { name: string; a: number; b: number; r: number }[] = [];
  centreRadius = 8;
  outer = 0;

  constructor(private readonly items: Items, readonly tree: Tree, readonly radii: Float32Array) {
    this.a = new Float32Array(items.count);
    this.b = new Float32Array(items.count);
    this.scale = new Float32Array(items.count).fill(1);
    this.reach = radii.slice();
    for (let row = items.count - 1; row >= 0; row--) this.surround(row);
  }

  private radius(row: number): number {
    return this.radii[row] * this.scale[row];
  }

  private surrounded(rows: Int32Array): boolean {
    return rows.some((row) => this.tree.of(row).length > 0);
  }

  private slots(rows: Int32Array, middle: number, form: "ring" | "disc" | "auto"): Slots {
    const foot = largestOf(rows, this.reach);
    const room = this.surrounded(rows) ? CLOSE : APART;
    const few = form === "ring" || (form === "auto" && rows.length <= NESTED_RING_MAX);
    const feet = () => Float32Array.from(rows, (row) => (this.reach[row] * room) / 2);
    return few ? ringSlots(feet(), middle) : discSlots(rows.length, foot, middle, room);
  }

  /** Siblings come nearer to one size; one with nothing around it is no larger than the others. */
  private even(rows: Int32Array): void {
    if (!this.surrounded(rows)) return;
    const foot = largestOf(rows, this.reach);
    let ball = 0;
    const grow = (row: number, factor: number) => {
      this.scale[row] = factor;
      this.reach[row] *= factor;
    };
    const wanted = (row: number) => foot * (this.reach[row] / foot) ** UNEVEN;
    for (const row of rows) {
      if (this.tree.of(row).length === 0) continue;
      grow(row, wanted(row) / this.reach[row]);
      ball = Math.max(ball, this.radius(row));
    }
    for (const row of rows) {
      if (this.tree.of(row).length === 0) grow(row, Math.min(wanted(row), ball) / this.reach[row]);
    }
  }

  /** A parent grows with what is around it, and its children keep off it. */
  private surround(row: number): void {
    const kids = this.tree.of(row);
    if (kids.length === 0) return;
    this.even(kids);
    const foot = largestOf(kids, this.reach);
    const least = this.surrounded(kids) ? 0.45 : 1.15;
    this.radii[row] = Math.max(this.radii[row], foot * Math.min(1.6, Math.max(least, 0.22 * Math.sqrt(kids.length))));
    const slots = this.slots(kids, this.radii[row] * 1.25, "auto");
    this.put({ slots, rows: kids }, 0, 0);
    this.reach[row] = slots.reach;
  }

  private put(around: Around, a: number, b: number): void {
    around.rows.forEach((row, k) => {
      this.a[row] = around.slots.a[k] + a;
      this.b[row] = around.slots.b[k] + b;
    });
  }

  private middle(rows: Int32Array): number {
    const typical = median(Float32Array.from(rows, (row) => this.radius(row)));
    const deep = this.surrounded(rows) ? largestOf(rows, this.reach) * 0.4 : 0;
    return Math.max(8, typical * 1.2, deep);
  }

  /** The place's own children around the centre. */
  outermost(form: "ring" | "disc" | "auto" | "wall"): void {
    const rows = this.tree.of(-1);
    this.even(rows);
    this.centreRadius = this.middle(rows);
    const wall = () => wallSlots(rows.length, largestOf(rows, this.reach), this.centreRadius);
    const slots = form === "wall" ? wall() : this.slots(rows, this.centreRadius * 1.3, form);
    this.put({ slots, rows }, 0, 0);
    this.outer = slots.reach;
  }

  /** The place's own children in named clusters around the centre. */
  grouped(names: readonly string[]): void {
    const rows = this.tree.of(-1);
    this.even(rows);
    this.centreRadius = this.middle(rows);
    const members = names.map((name, g) => ({ name, rows: rows.filter((row) => this.items.group[row] === g) }));
    const rest = { name: "other", rows: rows.filter((row) => this.items.group[row] >= names.length) };
    const shown = [...members, rest].filter((group) => group.rows.length > 0);
    const inner = shown.map((group) => this.slots(group.rows, 0, "auto"));
    const outer = ringSlots(Float32Array.from(inner, (slots) => slots.reach * 1.12), this.centreRadius * 1.3);
    shown.forEach((group, g) => {
      const [a, b] = [outer.a[g], outer.b[g]];
      this.put({ slots: inner[g], rows: group.rows }, a, b);
      this.clusters.push({ name: group.name, a, b, r: inner[g].reach * 1.05 });
    });
    this.outer = outer.reach;
  }

  /** Each of the place's own children stands where its own plane begins. */
  atOrigins(): void {
    for (const row of this.tree.of(-1)) this.a[row] = this.b[row] = 0;
  }

  /** Everything in a plane: two vectors and an origin, those of a row of the first tier. */
  spread(plane: (row: number) => Float32Array): Float32Array {
    const { tree, radii, scale } = this;
    const n = radii.length;
    const spheres = new Float32Array(n * 4);
    const top = new Int32Array(n);
    const unit = new Float32Array(n);
    for (let row = 0; row < n; row++) {
      const parent = tree.parentRow[row];
      top[row] = parent < 0 ? row : top[parent];
      const around = parent < 0 ? 1 : unit[parent];
      unit[row] = around * scale[row];
      this.reach[row] *= around;
      const p = plane(top[row]);
      for (let k = 0; k < 3; k++) {
        const start = parent < 0 ? p[6 + k] : spheres[parent * 4 + k];
        spheres[row * 4 + k] = start + around * (this.a[row] * p[k] + this.b[row] * p[3 + k]);
      }
      spheres[row * 4 + 3] = radii[row] * unit[row];
    }
    return spheres;
  }
}

const GROUND = new Float32Array([1, 0, 0, 0, 0, -1, 0, 0, 0]);
const UPRIGHT = new Float32Array([1, 0, 0, 0, 1, 0, 0, 0, 0]);

/** For each of n directions: two vectors along the sphere's skin there, and the place itself. */
function skins(n: number, radius: number): Float32Array[] {
  const all = shellDirections(n);
  return Array.from({ length: n }, (_, i) => {
    const [x, y, z] = all.subarray(i * 3, i * 3 + 3);
    const flat = Math.max(Math.hypot(x, z), 1e-6);
    const [ux, uz] = [z / flat, -x / flat];
    const v = [y * uz, z * ux - x * uz, -y * ux];
    return Float32Array.from([ux, 0, uz, ...v, x * radius, y * radius, z * radius]);
  });
}

function shell(nest: Nest): Float32Array {
  nest.outermost("disc");
  nest.atOrigins();
  const rows = nest.tree.of(-1);
  const foot = largestOf(rows, nest.reach);
  const radius = shellRadius(rows.length, foot, nest.centreRadius);
  nest.outer = radius + foot;
  const planes = skins(rows.length, radius);
  const place = new Map(Array.from(rows, (row, k) => [row, planes[k]]));
  return nest.spread((row) => place.get(row) ?? GROUND);
}

function nested(items: Items, tree: Tree, radii: Float32Array, name: LayoutName, groups: readonly string[]): Layout {
  const nest = new Nest(items, tree, radii);
  let spheres: Float32Array;
  if (name === "shell" && groups.length === 0) spheres = shell(nest);
  else {
    if (groups.length > 0) nest.grouped(groups);
    else nest.outermost(name === "ring" || name === "wall" ? name : name === "disc" ? "disc" : "auto");
    const plane = name === "wall" && groups.length === 0 ? UPRIGHT : GROUND;
    spheres = nest.spread(() => plane);
  }
  const ground = (c: { a: number; b: number; r: number }): Circle => ({ x: c.a, z: -c.b, r: c.r });
  const clusters: Cluster[] = nest.clusters.map((c) => ({ ...ground(c), name: c.name }));
  return {
    ...blank(items, tree), spheres, reach: nest.reach, centreRadius: nest.centreRadius, clusters,
    circles: clusters.map(({ x, z, r }) => ({ x, z, r })), extent: extentOf(nest.outer, nest.centreRadius),
    elevation: groups.length ? null : name === "wall" ? WALL_ELEVATION : name === "shell" ? SHELL_ELEVATION : null,
  };
}

function blank(items: Items, tree: Tree): Layout {
  return {
    count: items.count, spheres: new Float32Array(0), radii: new Float32Array(0),
    reach: new Float32Array(0), parentRow: tree.parentRow, tops: tree.of(-1),
    centreRadius: 8, circles: [], clusters: [], extent: 1, sweep: 0, smallest: 1, elevation: null,
    capacityKwh: items.capacityKwh,
  };
}

/** One level around the centre, as the first version of this view had it. */
function flat(items: Items, tree: Tree, level: string, name: LayoutName): Layout {
  const capacity = scaledCapacities(items.capacityKwh);
  const raw = capacity.map((c) => sphereRadius(level, c));
  const typical = median(raw);
  const onDisc = name === "disc" || (name !== "ring" && items.count > RING_MAX);
  const radii = onDisc ? raw.map((r) => Math.min(r, 2 * typical)) : raw;
  const centreRadius = Math.max(8, typical * 1.2);
  const spheres = onDisc ? disc(radii, centreRadius) : ring(level, capacity, radii, centreRadius);
  let outermost = 0;
  for (let i = 0; i < items.count; i++) {
    outermost = Math.max(outermost, Math.hypot(spheres[i * 4], spheres[i * 4 + 2]) + radii[i]);
  }
  const circles = orbitsOf(spheres, onDisc).map((r) => ({ x: 0, z: 0, r }));
  const extent = extentOf(outermost, centreRadius);
  return { ...blank(items, tree), spheres, reach: radii.slice(), centreRadius, circles, extent };
}

/** Where everything below the place stands. `groups` gathers the place's children in clusters. */
export function layOut(items: Items, level: string, name: LayoutName, groups: readonly string[]): Layout {
  const tree = new Tree(items);
  const own = level.toLowerCase();
  const flying = !tree.deep && groups.length === 0 && name !== "wall" && name !== "shell";
  const radii = () => (tree.deep ? tierRadii(items.capacityKwh, items.tier)
    : scaledCapacities(items.capacityKwh).map((c) => sphereRadius(own, c)));
  const layout = items.count === 0 || flying ? flat(items, tree, own, name)
    : nested(items, tree, radii(), name, groups);
  let smallest = layout.centreRadius;
  for (let i = 0; i < items.count; i++) smallest = Math.min(smallest, layout.spheres[i * 4 + 3]);
  const final = layout.spheres.filter((_, k) => k % 4 === 3);
  return { ...layout, radii: final, smallest };
}

/** Gives the spheres the radii of these capacities, and what they were multiplied by into `out`;
 * false when that takes other places. */
export function growth(layout: Layout, capacityKwh: Float32Array, level: string, out: Float32Array): boolean {
  if (isFixed(level.toLowerCase())) return true;
  const { capacityKwh: base, spheres, radii } = layout;
  for (let i = 0; i < layout.count; i++) {
    const factor = Math.sqrt(capacityKwh[i] / base[i]);
    const fits = factor >= SHRUNK && factor <= GROWN;
    if (!fits && (base[i] > 0 || capacityKwh[i] > 0)) return false;
    out[i] = fits ? factor : 1;
    spheres[i * 4 + 3] = radii[i] * out[i];
  }
  return true;
}
