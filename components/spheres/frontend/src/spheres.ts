import {
  BufferAttribute, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, RawShaderMaterial, Vector3,
} from "three";
import { ByteColumn } from "./buffers";
import type { Layout } from "./layouts/types";
import { type Tokens, depthIndex, rgb } from "./palette";
import { STOPS } from "./ramps";
import { SPHERE_FRAGMENT, SPHERE_VERTEX } from "./shaders";
import type { Items, Marks } from "./types";

const QUAD = new Float32Array([-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0]);
const UNKNOWN_SOC = 255;
const FULL_SOC = 250;
/** A size byte of the radius that the layout gave. */
const FULL_SIZE = 64;
const FRESH = 128;

const enum Bit { Stale = 4, Selected = 8, Hovered = 16, Pending = 32, Plain = 64, Dim = 128 }

/** How items look apart from where they are: a colour byte each, and a factor on the radius. */
export interface Look {
  tints: Uint8Array;
  growth: Float32Array;
}

function colours(n: number): { value: Vector3[] } {
  return { value: Array.from({ length: n }, () => new Vector3()) };
}

function material(): RawShaderMaterial {
  const colour = () => ({ value: new Vector3() });
  const material = new RawShaderMaterial({
    glslVersion: GLSL3,
    vertexShader: SPHERE_VERTEX,
    fragmentShader: SPHERE_FRAGMENT,
    uniforms: {
      pixels: { value: 1 }, scale: { value: 1 }, pulse: { value: 0 }, beat: { value: 1 },
      steel: colours(3), depths: colours(5), ramp: colours(STOPS),
      background: colour(), arcColour: colour(), trackColour: colour(),
      alarmColour: colour(), infoColour: colour(), glowColour: colour(),
    },
  });
  material.alphaToCoverage = true;
  return material;
}

function socByte(soc: number): number {
  if (soc !== soc) return UNKNOWN_SOC;
  return (soc <= 0 ? 0 : soc >= 100 ? FULL_SOC : soc * (FULL_SOC / 100) + 0.5) | 0;
}

/** All spheres, the parent's last, in one draw call. */
export class SphereMesh {
  readonly mesh: Mesh<InstancedBufferGeometry, RawShaderMaterial>;
  private look = new ByteColumn(1);
  private places = new InstancedBufferAttribute(new Float32Array(4), 4);
  private count = 0;

  constructor() {
    this.mesh = new Mesh(new InstancedBufferGeometry(), material());
    this.mesh.frustumCulled = false;
    this.mesh.matrixAutoUpdate = false;
  }

  setLayout(layout: Layout): number {
    const all = new Float32Array(layout.spheres.length + 4);
    all.set(layout.spheres);
    all[all.length - 1] = layout.centreRadius;
    this.count = layout.count;
    this.look = new ByteColumn(layout.count + 1);
    this.places = new InstancedBufferAttribute(all, 4);
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(QUAD, 3));
    geometry.setIndex([0, 1, 2, 0, 2, 3]);
    geometry.setAttribute("sphere", this.places);
    geometry.setAttribute("look", this.look.attribute);
    geometry.instanceCount = layout.count + 1;
    this.mesh.geometry.dispose();
    this.mesh.geometry = geometry;
    return all.byteLength;
  }

  /** The same items stand elsewhere. */
  move({ spheres, radii, count }: Layout): void {
    const all = this.places.array as Float32Array;
    all.set(spheres);
    for (let i = 0; i < count; i++) all[i * 4 + 3] = radii[i];
    this.places.needsUpdate = true;
  }

  setState(items: Items, { tints, growth }: Look, depth: number, marks: Marks): number {
    const { alarm, stale, dim, freshAlarm, socPct } = items;
    for (let i = 0; i < this.count; i++) {
      let bits = alarm[i] & 3;
      if (stale[i]) bits |= Bit.Stale;
      if (dim[i]) bits |= Bit.Dim;
      if (i === marks.selected) bits |= Bit.Selected;
      if (i === marks.hovered) bits |= Bit.Hovered;
      if (i === marks.pending) bits |= Bit.Pending;
      const size = Math.min(127, growth[i] * FULL_SIZE + 0.5 | 0);
      this.look.set(i, socByte(socPct[i]), bits, tints[i], freshAlarm[i] && alarm[i] ? FRESH | size : size);
    }
    this.look.set(this.count, 0, Bit.Plain, depthIndex(depth) + 1, FULL_SIZE);
    return this.look.flush();
  }

  setColours(t: Tokens, ramp: readonly string[]): void {
    const u = this.mesh.material.uniforms;
    const fill = (name: string, all: readonly string[]) =>
      all.forEach((c, i) => (u[name].value as Vector3[])[i].set(...rgb(c)));
    fill("steel", [t.lit, t.mid, t.shade]);
    fill("depths", t.depths);
    fill("ramp", ramp);
    const plain = {
      background: t.bg, arcColour: t.arc, trackColour: t.track,
      alarmColour: t.alarm, infoColour: t.info, glowColour: t.glow,
    };
    for (const [name, c] of Object.entries(plain)) (u[name].value as Vector3).set(...rgb(c));
  }

  setFrame(pixels: number, pulse: number, beat: number): void {
    const u = this.mesh.material.uniforms;
    u.pixels.value = pixels;
    u.pulse.value = pulse;
    u.beat.value = beat;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}
