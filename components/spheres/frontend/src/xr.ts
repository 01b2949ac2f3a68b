import { BufferGeometry, Float32BufferAttribute, type Group, Line, LineBasicMaterial, Matrix4, Vector3, Vector4, type XRTargetRaySpace } from "three";
import type { Layout } from "./layouts/types";
import type { Stage } from "./stage";

/** Half of what the scene measures in the room, and where its middle stands [m]. */
const REACH_M = 0.7;
const PLACE_M = new Vector3(0, 1.05, -1.1);
const RAY_M = 3;
/** A ray that passes a sphere as near as this share of its radius still means it. */
const GENEROUS = 1.5;

export interface VrEvents {
  select(i: number): void;
  drill(i: number): void;
  ended(): void;
  /** Everything that moves goes on, at this time [ms]. */
  step(now: number): void;
  failed(reason: string): void;
}

export type Point = Pick<Vector3, "x" | "y" | "z">;

/** Whether a headset can be asked for; browsers without WebXR have no `navigator.xr`. */
async function vrOffered(): Promise<boolean> {
  try {
    return (await navigator.xr?.isSessionSupported("immersive-vr")) === true;
  } catch {
    return false;
  }
}

/** The item that a ray meets first; -1 for none. All in the scene's own units. */
export function pickRay(layout: Layout, from: Point, way: Point): number {
  const { spheres: s, count } = layout;
  let best = -1;
  let nearest = Infinity;
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [s[i * 4] - from.x, s[i * 4 + 1] - from.y, s[i * 4 + 2] - from.z];
    const along = x * way.x + y * way.y + z * way.z;
    const reach = s[i * 4 + 3] * GENEROUS;
    if (along <= 0 || along > nearest) continue;
    if (x * x + y * y + z * z - along * along > reach * reach) continue;
    best = i;
    nearest = along;
  }
  return best;
}

/** The scene as a model on a table, looked at with a headset; experimental. */
export class Vr {
  private readonly hands: Group[] = [];
  private session: XRSession | null = null;
  private fitted: Layout | null = null;

  constructor(private readonly stage: Stage, private readonly layout: () => Layout | null,
    private readonly on: VrEvents) {}

  /** Gives what starts it to `offer`, where the browser has it. */
  async offered(still: () => boolean, offer: (start: () => void) => void): Promise<void> {
    if (!(await vrOffered())) return;
    offer(() => {
      this.start(still()).catch((error: unknown) => this.on.failed(error instanceof Error ? error.message : String(error)));
    });
  }

  get running(): boolean {
    return this.session !== null;
  }

  /** Must come from a click; throws what the browser says if it refuses. */
  private async start(still: boolean): Promise<void> {
    const layout = this.layout();
    if (!layout || !navigator.xr || this.session) return;
    const session = await navigator.xr.requestSession("immersive-vr", { optionalFeatures: ["local-floor"] });
    const { xr } = this.stage.renderer;
    this.session = session;
    session.addEventListener("end", () => this.stop());
    xr.enabled = true;
    xr.setReferenceSpaceType("local-floor");
    await xr.setSession(session);
    this.watchEyes(true);
    for (const hand of [0, 1]) this.takeHand(hand);
    this.stage.renderer.setAnimationLoop((time) => {
      this.on.step(time);
      this.fit();
      this.stage.setTime(time / 1000, still, 1, 1, 1, 1);
      this.stage.renderer.render(this.stage.scene, this.eye);
    });
  }

  /** What three moves to where the headset is. */
  private get eye() {
    return this.stage.renderer.xr.getCamera();
  }

  /** What is shown now has the size of a table. */
  private fit(): void {
    const layout = this.layout();
    if (layout === null || layout === this.fitted) return;
    this.fitted = layout;
    this.place(REACH_M / layout.extent, PLACE_M);
  }

  private stop(): void {
    this.fitted = null;
    const { renderer, scene } = this.stage;
    renderer.setAnimationLoop(null);
    renderer.xr.enabled = false;
    for (const hand of this.hands.splice(0)) scene.remove(hand);
    this.watchEyes(false);
    this.place(1, new Vector3());
    this.session = null;
    this.on.ended();
  }

  private place(scale: number, at: Vector3): void {
    const { world, scene, spheres, lines } = this.stage;
    world.matrix.makeScale(scale, scale, scale).setPosition(at);
    scene.updateMatrixWorld(true);
    spheres.mesh.material.uniforms.scale.value = scale;
    lines.mesh.material.uniforms.scale.value = scale;
  }

  /** Widths in pixels depend on the picture of each eye. */
  private watchEyes(on: boolean): void {
    const { spheres, lines } = this.stage;
    const size = new Vector4();
    const measure = (camera: { projectionMatrix: Matrix4; viewport?: Vector4 }) => {
      size.copy(camera.viewport ?? new Vector4(0, 0, 1000, 1000));
      spheres.mesh.material.uniforms.pixels.value = camera.projectionMatrix.elements[5] * size.w * 0.5;
      (lines.mesh.material.uniforms.viewport.value as { set(w: number, h: number): void }).set(size.z, size.w);
      spheres.mesh.material.uniformsNeedUpdate = true;
      lines.mesh.material.uniformsNeedUpdate = true;
    };
    for (const { mesh } of [spheres, lines]) {
      mesh.onBeforeRender = on ? (_renderer, _scene, camera) => measure(camera as never) : () => undefined;
    }
  }

  private takeHand(index: number): void {
    const { renderer, scene } = this.stage;
    const hand = renderer.xr.getController(index);
    if (hand.children.length === 0) this.equip(hand);
    scene.add(hand);
    this.hands.push(hand);
  }

  /** A hand is the same one in every session. */
  private equip(hand: XRTargetRaySpace): void {
    const ray = new BufferGeometry();
    ray.setAttribute("position", new Float32BufferAttribute([0, 0, 0, 0, 0, -RAY_M], 3));
    hand.add(new Line(ray, new LineBasicMaterial({ color: 0x94a0ad })));
    hand.addEventListener("select", () => this.on.select(this.aimed(hand)));
    hand.addEventListener("squeeze", () => this.on.drill(this.aimed(hand)));
  }

  private aimed(hand: Group): number {
    const layout = this.layout();
    if (!layout) return -1;
    const back = new Matrix4().copy(this.stage.world.matrixWorld).invert();
    const from = new Vector3().setFromMatrixPosition(hand.matrixWorld).applyMatrix4(back);
    const way = new Vector3(0, 0, -1).transformDirection(hand.matrixWorld).transformDirection(back);
    return pickRay(layout, from, way);
  }
}
