import {
  BufferAttribute, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, RawShaderMaterial, Vector3,
} from "three";
import { ByteColumn } from "./buffers";
import type { Layout } from "./layout";
import { type Tokens, depthIndex, rgb } from "./palette";
import { SPHERE_FRAGMENT, SPHERE_VERTEX } from "./shaders";
import type { Items } from "./types";

const QUAD = new Float32Array([-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0]);
const UNKNOWN_SOC = 255;
const FULL_SOC = 250;

const enum Bit { Stale = 4, Selected = 8, Hovered = 16, Pending = 32, Plain = 64 }

export interface Marks {
  selected: number;
  hovered: number;
  pending: number;
}

function material(): RawShaderMaterial {
  const colour = () => ({ value: new Vector3() });
  const material = new RawShaderMaterial({
    glslVersion: GLSL3,
    vertexShader: SPHERE_VERTEX,
    fragmentShader: SPHERE_FRAGMENT,
    uniforms: {
      pixels: { value: 1 },
      pulse: { value: 0 },
      steel: { value: [new Vector3(), new Vector3(), new Vector3()] },
      depths: { value: Array.from({ length: 5 }, () => new Vector3()) },
      background: colour(), arcColour: colour(), trackColour: colour(),
      alarmColour: colour(), infoColour: colour(), glowColour: colour(),
    },
  });
  material.alphaToCoverage = true;
  return material;
}

function socByte(soc: number): number {
  if (Number.isNaN(soc)) return UNKNOWN_SOC;
  return Math.round((Math.min(100, Math.max(0, soc)) / 100) * FULL_SOC);
}

/** All spheres, the parent's last, in one draw call. */
export class SphereMesh {
  readonly mesh: Mesh<InstancedBufferGeometry, RawShaderMaterial>;
  private look = new ByteColumn(1);
  private count = 0;

  constructor() {
    this.mesh = new Mesh(new InstancedBufferGeometry(), material());
    this.mesh.frustumCulled = false;
  }

  setLayout(layout: Layout): number {
    const all = new Float32Array(layout.spheres.length + 4);
    all.set(layout.spheres);
    all[all.length - 1] = layout.centreRadius;
    this.count = layout.count;
    this.look = new ByteColumn(layout.count + 1);
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(QUAD, 3));
    geometry.setIndex([0, 1, 2, 0, 2, 3]);
    geometry.setAttribute("sphere", new InstancedBufferAttribute(all, 4));
    geometry.setAttribute("look", this.look.attribute);
    geometry.instanceCount = layout.count + 1;
    this.mesh.geometry.dispose();
    this.mesh.geometry = geometry;
    return all.byteLength;
  }

  setState(items: Items, depth: number, marks: Marks): number {
    for (let i = 0; i < this.count; i++) {
      let bits = items.alarm[i] & 3;
      if (items.stale[i]) bits |= Bit.Stale;
      if (i === marks.selected) bits |= Bit.Selected;
      if (i === marks.hovered) bits |= Bit.Hovered;
      if (i === marks.pending) bits |= Bit.Pending;
      this.look.set(i, socByte(items.socPct[i]), bits, 0, 0);
    }
    this.look.set(this.count, 0, Bit.Plain, depthIndex(depth) + 1, 0);
    return this.look.flush();
  }

  setColours(t: Tokens): void {
    const u = this.mesh.material.uniforms;
    [t.lit, t.mid, t.shade].forEach((c, i) => (u.steel.value as Vector3[])[i].set(...rgb(c)));
    t.depths.forEach((c, i) => (u.depths.value as Vector3[])[i].set(...rgb(c)));
    const plain = {
      background: t.bg, arcColour: t.arc, trackColour: t.track,
      alarmColour: t.alarm, infoColour: t.info, glowColour: t.glow,
    };
    for (const [name, c] of Object.entries(plain)) (u[name].value as Vector3).set(...rgb(c));
  }

  setFrame(pixels: number, pulse: number): void {
    this.mesh.material.uniforms.pixels.value = pixels;
    this.mesh.material.uniforms.pulse.value = pulse;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}
