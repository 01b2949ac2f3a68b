import { Color, ColorManagement, Group, Scene, WebGLRenderer } from "three";
import type { OrbitCamera } from "./camera";
import type { Layout } from "./layouts/types";
import { LineMesh } from "./lines";
import { type Tokens, rgb } from "./palette";
import { type Look, SphereMesh } from "./spheres";
import type { Sparks } from "./trails";
import type { Items, Marks } from "./types";

ColorManagement.enabled = false;

/** Seconds between two beats of an alarm that nobody acknowledged. */
const BEAT_S = 1.2;

/** The WebGL side: two instanced meshes and the renderer that draws them. */
export class Stage {
  readonly renderer: WebGLRenderer;
  readonly scene = new Scene();
  /** Holds everything, so that it can be made small and put in front of a person in VR. */
  readonly world = new Group();
  readonly spheres = new SphereMesh();
  readonly lines = new LineMesh();
  shaderError: string | null = null;
  private ratio = 1;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: false, powerPreference: "low-power" });
    this.renderer.debug.onShaderError = (gl, _program, vertex, fragment) => {
      this.shaderError = gl.getShaderInfoLog(vertex) || gl.getShaderInfoLog(fragment) || "shader did not link";
    };
    this.scene.matrixWorldAutoUpdate = false;
    this.world.matrixAutoUpdate = false;
    this.world.add(this.spheres.mesh, this.lines.mesh);
    this.scene.add(this.world);
  }

  get flowing(): boolean {
    return this.lines.flowing;
  }

  get drawCalls(): number {
    return this.renderer.info.render.calls;
  }

  get triangles(): number {
    return this.renderer.info.render.triangles;
  }

  resize(width: number, height: number, ratio: number): void {
    this.ratio = ratio;
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
  }

  setColours(t: Tokens, ramp: readonly string[]): void {
    this.renderer.setClearColor(new Color(...rgb(t.bg)), 1);
    this.spheres.setColours(t, ramp);
    this.lines.setColours(t);
  }

  setLayout(layout: Layout, sparks: Sparks): number {
    return this.spheres.setLayout(layout) + this.lines.setLayout(layout, sparks);
  }

  move(layout: Layout): void {
    this.spheres.move(layout);
    this.lines.move(layout);
  }

  setState(items: Items, look: Look, depth: number, marks: Marks): number {
    return this.spheres.setState(items, look, depth, marks)
      + this.lines.setState(items, marks.hovered, marks.selected);
  }

  /** Uniforms that change with time. */
  setTime(seconds: number, still: boolean, pixels: number, width: number, height: number, ratio: number): void {
    const pulse = still ? 1 : 0.5 + 0.5 * Math.sin(seconds * 9);
    const beat = still ? 1 : 0.5 + 0.5 * Math.cos((seconds * 2 * Math.PI) / BEAT_S);
    this.spheres.setFrame(pixels, pulse, beat);
    this.lines.setFrame(width, height, ratio, seconds, still);
  }

  render(camera: OrbitCamera, seconds: number, still: boolean): void {
    this.setTime(seconds, still, camera.pixels, camera.width * this.ratio, camera.height * this.ratio, this.ratio);
    this.renderer.render(this.scene, camera.camera);
  }

  /** Number of pixels that differ from the background; call right after render(). */
  inked(): number {
    const gl = this.renderer.getContext();
    const [w, h] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const pixels = new Uint8Array(w * h * 4);
    gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    const clear = this.renderer.getClearColor(new Color());
    const back = [clear.r, clear.g, clear.b].map((c) => Math.round(c * 255));
    let count = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      const far = [0, 1, 2].some((k) => Math.abs(pixels[i + k] - back[k]) > 2);
      if (far) count++;
    }
    return count;
  }

  loseContext(): void {
    this.renderer.forceContextLoss();
  }

  restoreContext(): void {
    this.renderer.forceContextRestore();
  }

  dispose(): void {
    this.spheres.dispose();
    this.lines.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
