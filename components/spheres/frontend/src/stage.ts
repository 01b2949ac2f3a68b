import { Color, ColorManagement, Scene, WebGLRenderer } from "three";
import type { OrbitCamera } from "./camera";
import type { Layout } from "./layout";
import { LineMesh } from "./lines";
import { type Tokens, rgb } from "./palette";
import { type Marks, SphereMesh } from "./spheres";
import type { Items } from "./types";

ColorManagement.enabled = false;

/** The WebGL side: two instanced meshes and the renderer that draws them. */
export class Stage {
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly spheres = new SphereMesh();
  private readonly lines = new LineMesh();
  private ratio = 1;

  constructor(canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: false, powerPreference: "low-power" });
    this.renderer.debug.onShaderError = (gl, _program, vertex, fragment) => {
      this.shaderError = gl.getShaderInfoLog(vertex) || gl.getShaderInfoLog(fragment) || "shader did not link";
    };
    this.scene.matrixWorldAutoUpdate = false;
    this.scene.add(this.spheres.mesh, this.lines.mesh);
  }

  shaderError: string | null = null;

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

  setColours(t: Tokens): void {
    this.renderer.setClearColor(new Color(...rgb(t.bg)), 1);
    this.spheres.setColours(t);
    this.lines.setColours(t);
  }

  setLayout(layout: Layout): number {
    return this.spheres.setLayout(layout) + this.lines.setLayout(layout);
  }

  setState(items: Items, depth: number, marks: Marks): number {
    return this.spheres.setState(items, depth, marks) + this.lines.setState(items, marks.hovered, marks.selected);
  }

  render(camera: OrbitCamera, seconds: number, still: boolean): void {
    const pulse = still ? 1 : 0.5 + 0.5 * Math.sin(seconds * 9);
    this.spheres.setFrame(camera.pixels, pulse);
    this.lines.setFrame(camera.width * this.ratio, camera.height * this.ratio, this.ratio, seconds, still);
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
