import {
  BufferAttribute, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, RawShaderMaterial, Vector2, Vector3,
} from "three";
import { ByteColumn } from "./buffers";
import type { Layout } from "./layout";
import { type Tokens, rgb } from "./palette";
import { LINE_FRAGMENT, LINE_VERTEX } from "./shaders";
import { Flow, type Items } from "./types";

const STRIP = new Float32Array([0, -1, 0, 1, -1, 0, 1, 1, 0, 0, 1, 0]);
const ORBIT = 4;
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
      viewport: { value: new Vector2(1, 1) },
      charge: pair(), discharge: pair(),
      idleColour: { value: new Vector3() }, orbitColour: { value: new Vector3() },
      period: { value: 1 }, flow: { value: 0 }, crowd: { value: 1 },
      still: { value: 0 }, ratio: { value: 1 },
    },
  });
}

/** Start and end of each spoke, from the parent's surface to the child's ring, then of the orbits. */
function segments(layout: Layout): [Float32Array, Float32Array] {
  const total = layout.count + layout.orbits.length * ORBIT_STEPS;
  const starts = new Float32Array(total * 3);
  const ends = new Float32Array(total * 3);
  for (let i = 0; i < layout.count; i++) {
    const [x, y, z, r] = layout.spheres.subarray(i * 4, i * 4 + 4);
    const d = Math.max(Math.hypot(x, y, z), 1e-6);
    const from = layout.centreRadius / d;
    const to = (d - r * RING) / d;
    starts.set([x * from, y * from, z * from], i * 3);
    ends.set([x * to, y * to, z * to], i * 3);
  }
  layout.orbits.forEach((radius, k) => circle(starts, ends, layout.count + k * ORBIT_STEPS, radius));
  return [starts, ends];
}

function circle(starts: Float32Array, ends: Float32Array, first: number, radius: number): void {
  const step = (2 * Math.PI) / ORBIT_STEPS;
  for (let s = 0; s < ORBIT_STEPS; s++) {
    const at = (first + s) * 3;
    starts.set([Math.sin(s * step) * radius, 0, Math.cos(s * step) * radius], at);
    ends.set([Math.sin((s + 1) * step) * radius, 0, Math.cos((s + 1) * step) * radius], at);
  }
}

function largestPower(items: Items): number {
  let largest = 0;
  for (const kw of items.powerKw) if (Math.abs(kw) > largest) largest = Math.abs(kw);
  return largest;
}

/** Spokes and orbits in one draw call. */
export class LineMesh {
  readonly mesh: Mesh<InstancedBufferGeometry, RawShaderMaterial>;
  /** Whether any line carries power, so that there is something to animate. */
  flowing = false;
  private paint = new ByteColumn(1);
  private count = 0;

  constructor() {
    this.mesh = new Mesh(new InstancedBufferGeometry(), material());
    this.mesh.frustumCulled = false;
  }

  setLayout(layout: Layout): number {
    const [starts, ends] = segments(layout);
    const total = starts.length / 3;
    this.count = layout.count;
    this.paint = new ByteColumn(total);
    for (let i = layout.count; i < total; i++) this.paint.set(i, ORBIT, 0, 0, 0);
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(STRIP, 3));
    geometry.setIndex([0, 1, 2, 0, 2, 3]);
    geometry.setAttribute("start", new InstancedBufferAttribute(starts, 3));
    geometry.setAttribute("finish", new InstancedBufferAttribute(ends, 3));
    geometry.setAttribute("paint", this.paint.attribute);
    geometry.instanceCount = total;
    this.mesh.geometry.dispose();
    this.mesh.geometry = geometry;
    this.mesh.material.uniforms.period.value = layout.extent / 11;
    this.mesh.material.uniforms.crowd.value = Math.min(1, Math.max(0.3, 60 / Math.max(layout.count, 1)));
    return starts.byteLength * 2;
  }

  setState(items: Items, hovered: number, selected: number): number {
    const largest = largestPower(items) || 1;
    this.flowing = false;
    for (let i = 0; i < this.count; i++) {
      const kw = items.powerKw[i];
      const kind = Number.isNaN(kw) ? Flow.Unknown : items.state[i];
      const strength = Number.isNaN(kw) ? 0 : Math.round((Math.abs(kw) / largest) * 255);
      if (kind === Flow.Charging || kind === Flow.Discharging) this.flowing = true;
      this.paint.set(i, kind, strength, items.stale[i] ? 1 : 0, i === hovered || i === selected ? 1 : 0);
    }
    return this.paint.flush();
  }

  setColours(t: Tokens): void {
    const u = this.mesh.material.uniforms;
    t.charge.forEach((c, i) => (u.charge.value as Vector3[])[i].set(...rgb(c)));
    t.discharge.forEach((c, i) => (u.discharge.value as Vector3[])[i].set(...rgb(c)));
    (u.idleColour.value as Vector3).set(...rgb(t.idle));
    (u.orbitColour.value as Vector3).set(...rgb(t.orbit));
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
}
