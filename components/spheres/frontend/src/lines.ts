import {
  BufferAttribute, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, RawShaderMaterial, Vector2, Vector3,
} from "three";
import { ByteColumn } from "./buffers";
import type { Circle, Layout } from "./layouts/types";
import { type Tokens, rgb } from "./palette";
import { LINE_FRAGMENT, LINE_VERTEX } from "./shaders";
import { NO_SPARKS, type Sparks } from "./trails";
import { Flow, type Items } from "./types";

const STRIP = new Float32Array([0, -1, 0, 1, -1, 0, 1, 1, 0, 0, 1, 0]);
const ORBIT = 4;
const SPARK = 5;
const RING = 1.2;
const ORBIT_STEPS = 128;

function material(): RawShaderMaterial {
  const pair = () => ({ value: [new Vector3(), new Vector3()] });
  return new RawShaderMaterial({
    glslVersion: GLSL3,
    vertexShader: LINE_VERTEX,
    fragmentShader: LINE_FRAGMENT,
    transparent: true,
    depthWrite: false,
    side: 2,
    uniforms: {
      viewport: { value: new Vector2(1, 1) }, scale: { value: 1 },
      charge: pair(), discharge: pair(),
      idleColour: { value: new Vector3() }, orbitColour: { value: new Vector3() }, sparkColour: { value: new Vector3() },
      period: { value: 1 }, flow: { value: 0 }, crowd: { value: 1 },
      still: { value: 0 }, ratio: { value: 1 },
    },
  });
}

/** Each spoke runs from the skin of the parent to the ring of the item. */
function spokes(layout: Layout, starts: Float32Array, ends: Float32Array): void {
  const { spheres: s, parentRow, count } = layout;
  for (let i = 0; i < count; i++) {
    const p = parentRow[i];
    const at = i * 4;
    const px = p < 0 ? 0 : s[p * 4];
    const py = p < 0 ? 0 : s[p * 4 + 1];
    const pz = p < 0 ? 0 : s[p * 4 + 2];
    const x = s[at] - px;
    const y = s[at + 1] - py;
    const z = s[at + 2] - pz;
    const d = Math.max(Math.sqrt(x * x + y * y + z * z), 1e-6);
    const from = (p < 0 ? layout.centreRadius : s[p * 4 + 3]) / d;
    const to = (d - s[at + 3] * RING) / d;
    const k = i * 3;
    starts[k] = px + x * from;
    starts[k + 1] = py + y * from;
    starts[k + 2] = pz + z * from;
    ends[k] = px + x * to;
    ends[k + 1] = py + y * to;
    ends[k + 2] = pz + z * to;
  }
}

function circle(starts: Float32Array, ends: Float32Array, first: number, { x, z, r }: Circle): void {
  const step = (2 * Math.PI) / ORBIT_STEPS;
  for (let s = 0; s < ORBIT_STEPS; s++) {
    const at = (first + s) * 3;
    starts.set([x + Math.sin(s * step) * r, 0, z + Math.cos(s * step) * r], at);
    ends.set([x + Math.sin((s + 1) * step) * r, 0, z + Math.cos((s + 1) * step) * r], at);
  }
}

/** The largest power in each tier [kW], for one cell's is nothing beside a rack's. */
function largestPowers(items: Items): Float32Array {
  const largest = new Float32Array(256);
  for (let i = 0; i < items.count; i++) {
    const kw = Math.abs(items.powerKw[i]);
    if (kw > largest[items.tier[i]]) largest[items.tier[i]] = kw;
  }
  return largest.map((kw) => kw || 1);
}

/** Spokes, orbits and trails in one draw call. */
export class LineMesh {
  readonly mesh: Mesh<InstancedBufferGeometry, RawShaderMaterial>;
  /** Whether any line carries power, so that there is something to animate. */
  flowing = false;
  private paint = new ByteColumn(1);
  private starts = new InstancedBufferAttribute(new Float32Array(3), 3);
  private ends = new InstancedBufferAttribute(new Float32Array(3), 3);
  private spark: InstancedBufferAttribute | null = null;
  private sparks: Sparks = NO_SPARKS;
  private count = 0;
  private fixed = 0;

  constructor() {
    this.mesh = new Mesh(new InstancedBufferGeometry(), material());
    this.mesh.frustumCulled = false;
    this.mesh.matrixAutoUpdate = false;
  }

  setLayout(layout: Layout, sparks: Sparks): number {
    this.count = layout.count;
    this.fixed = layout.count + layout.circles.length * ORBIT_STEPS;
    const total = this.fixed + sparks.count;
    this.paint = new ByteColumn(total);
    this.starts = new InstancedBufferAttribute(new Float32Array(total * 3), 3);
    this.ends = new InstancedBufferAttribute(new Float32Array(total * 3), 3);
    const [from, to] = this.segments;
    layout.circles.forEach((c, k) => circle(from, to, layout.count + k * ORBIT_STEPS, c));
    for (let i = layout.count; i < this.fixed; i++) this.paint.set(i, ORBIT, 0, 0, 0);
    this.build(layout, total);
    this.setSparks(layout, sparks);
    this.move(layout);
    return from.byteLength * 2 + sparks.places.byteLength;
  }

  /** The same items stand elsewhere. */
  move(layout: Layout): void {
    const [from, to] = this.segments;
    spokes(layout, from, to);
    this.anchor(layout);
    this.starts.needsUpdate = true;
    this.ends.needsUpdate = true;
  }

  /** Whether these trails have room where the last ones were. */
  fits(sparks: Sparks): boolean {
    return sparks.count === this.sparks.count;
  }

  /** Trails of the same number of pieces as before; returns the bytes for the GPU. */
  setSparks(layout: Layout, sparks: Sparks): number {
    this.sparks = sparks;
    if (!this.spark || sparks.count === 0) return 0;
    const out = this.spark.array as Float32Array;
    for (let k = 0; k < sparks.count; k++) {
      const radius = layout.spheres[sparks.row[k] * 4 + 3];
      for (let c = 0; c < 4; c++) out[(this.fixed + k) * 4 + c] = sparks.places[k * 4 + c] * radius;
      this.paint.set(this.fixed + k, SPARK, sparks.strength[k], 0, 0);
    }
    this.anchor(layout);
    for (const changed of [this.spark, this.starts, this.ends]) changed.needsUpdate = true;
    return out.byteLength;
  }

  setState(items: Items, hovered: number, selected: number): number {
    const largest = largestPowers(items);
    this.flowing = false;
    const { powerKw, state, stale, dim, tier } = items;
    for (let i = 0; i < this.count; i++) {
      const kw = powerKw[i];
      const known = kw === kw;
      const kind = known ? state[i] : Flow.Unknown;
      const strength = known ? Math.min(255, ((kw < 0 ? -kw : kw) / largest[tier[i]]) * 255 + 0.5 | 0) : 0;
      if (kind === Flow.Charging || kind === Flow.Discharging) this.flowing = true;
      const marked = i === hovered || i === selected ? 1 : 0;
      this.paint.set(i, kind & 3, strength, (stale[i] ? 1 : 0) | (dim[i] ? 2 : 0), marked);
    }
    return this.paint.flush();
  }

  setColours(t: Tokens): void {
    const u = this.mesh.material.uniforms;
    t.charge.forEach((c, i) => (u.charge.value as Vector3[])[i].set(...rgb(c)));
    t.discharge.forEach((c, i) => (u.discharge.value as Vector3[])[i].set(...rgb(c)));
    (u.idleColour.value as Vector3).set(...rgb(t.idle));
    (u.orbitColour.value as Vector3).set(...rgb(t.orbit));
    (u.sparkColour.value as Vector3).set(...rgb(t.text2));
  }

  setFrame(width: number, height: number, ratio: number, seconds: number, still: boolean): void {
    const u = this.mesh.material.uniforms;
    (u.viewport.value as Vector2).set(width, height);
    u.ratio.value = ratio;
    u.still.value = still ? 1 : 0;
    u.flow.value = still ? 0 : (seconds * 0.55 * (u.period.value as number)) % (u.period.value as number);
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }

  private anchor(layout: Layout): void {
    const [from, to] = this.segments;
    for (let k = 0; k < this.sparks.count; k++) {
      const at = this.sparks.row[k] * 4;
      const place = layout.spheres.subarray(at, at + 3);
      from.set(place, (this.fixed + k) * 3);
      to.set(place, (this.fixed + k) * 3);
    }
  }

  private get segments(): [Float32Array, Float32Array] {
    return [this.starts.array as Float32Array, this.ends.array as Float32Array];
  }

  private build(layout: Layout, total: number): void {
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(STRIP, 3));
    geometry.setIndex([0, 1, 2, 0, 2, 3]);
    geometry.setAttribute("start", this.starts);
    geometry.setAttribute("finish", this.ends);
    geometry.setAttribute("paint", this.paint.attribute);
    this.spark = total > this.fixed ? new InstancedBufferAttribute(new Float32Array(total * 4), 4) : null;
    if (this.spark) geometry.setAttribute("spark", this.spark);
    geometry.instanceCount = total;
    this.mesh.geometry.dispose();
    this.mesh.geometry = geometry;
    this.mesh.material.uniforms.period.value = layout.extent / 11;
    this.mesh.material.uniforms.crowd.value = Math.min(1, Math.max(0.3, 60 / Math.max(layout.count, 1)));
  }
}
