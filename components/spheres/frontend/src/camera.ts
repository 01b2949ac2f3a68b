import { PerspectiveCamera } from "three";
import { type Layout, ROOMY } from "./layout";
import type { Spot } from "./types";

export interface Pose {
  azimuth: number;
  elevation: number;
  zoom: number;
}

export interface Insets {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

const FOV = 30;
const MIN_ELEVATION = 0.06;
const MAX_ELEVATION = 1.5;
const FLIGHT_MS = 360;
const HOLD_MS = 60;
const GLIDE = 0.4;
/** A crowded layout is filled from the inside: its last children are its rim. */
const FIT_SAMPLES = 400;

function clamp(x: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, x));
}

/** Looks down at about 50 degrees: flatter on a wide canvas, steeper on a tall one. */
function defaultPose(aspect: number): Pose {
  const degrees = aspect > 1 ? Math.max(40, 52 - 8 * (aspect - 1)) : 52 + 20 * Math.min(1, (1 - aspect) / 0.5);
  return { azimuth: 0, elevation: (degrees * Math.PI) / 180, zoom: 1 };
}

/** A camera that orbits the origin, fits the layout and glides to rest. */
export class OrbitCamera {
  readonly camera = new PerspectiveCamera(FOV, 1, 1, 10_000);
  width = 1;
  height = 1;
  moving = false;
  private pose: Pose = defaultPose(1.5);
  private touched = false;
  private spin = { azimuth: 0, elevation: 0 };
  private dragging = false;
  private lastDrag = 0;
  private flight: { from: number; started: number } | null = null;
  private fitDistance = 300;
  private shift = { x: 0, y: 0 };
  private layout: Layout | null = null;

  constructor(private readonly panels: (width: number) => Partial<Insets> = () => ({})) {}

  resize(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (!this.touched) this.pose = { ...defaultPose(this.width / this.height), zoom: this.pose.zoom };
    this.fit();
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    this.fit();
  }

  /** Back to the default view; a flight starts nearer or farther and settles. */
  fly(from: number, now: number, still: boolean): void {
    this.pose = defaultPose(this.width / this.height);
    this.touched = false;
    this.spin = { azimuth: 0, elevation: 0 };
    this.flight = still ? null : { from, started: now };
    this.moving = !still;
    this.fit();
  }

  drag(dx: number, dy: number, now: number): void {
    this.lastDrag = now;
    const turn = Math.PI / Math.max(400, Math.min(this.width, this.height));
    this.spin = { azimuth: -dx * turn, elevation: dy * turn };
    this.dragging = true;
    this.touched = true;
    this.turn();
  }

  /** Ends a drag; a hand that was still moving leaves a short glide behind. */
  release(still: boolean, now: number): void {
    this.dragging = false;
    const glide = still || now - this.lastDrag > HOLD_MS ? 0 : GLIDE;
    this.spin = { azimuth: this.spin.azimuth * glide, elevation: this.spin.elevation * glide };
    this.moving = true;
  }

  zoom(factor: number): void {
    this.pose.zoom = clamp(this.pose.zoom * factor, 0.12, 4);
    this.touched = true;
    this.apply();
  }

  /** Advances glide and flight; true while there is more to come. */
  step(now: number): boolean {
    if (!this.dragging) {
      this.spin.azimuth *= 0.86;
      this.spin.elevation *= 0.86;
      this.turn();
    }
    if (this.flight && now - this.flight.started > FLIGHT_MS) this.flight = null;
    this.apply(now);
    const gliding = Math.abs(this.spin.azimuth) + Math.abs(this.spin.elevation) > 4e-4;
    if (!this.dragging && !gliding) this.spin = { azimuth: 0, elevation: 0 };
    this.moving = this.flight !== null || (!this.dragging && gliding);
    return this.moving;
  }

  state(): Pose {
    return { ...this.pose };
  }

  /** Centre, radius (CSS pixels) and distance of a sphere on the canvas; depth < 0 is behind the eye. */
  project(x: number, y: number, z: number, radius: number, out: Spot): Spot {
    const v = this.camera.matrixWorldInverse.elements;
    const p = this.camera.projectionMatrix.elements;
    const ex = v[0] * x + v[4] * y + v[8] * z + v[12];
    const ey = v[1] * x + v[5] * y + v[9] * z + v[13];
    const w = -(v[2] * x + v[6] * y + v[10] * z + v[14]);
    out.depth = w;
    out.x = ((p[0] * ex) / w - p[8] + 1) * 0.5 * this.width;
    out.y = (1 - ((p[5] * ey) / w - p[9])) * 0.5 * this.height;
    const d2 = ex * ex + ey * ey + w * w;
    out.r = (radius * p[5] * this.height * 0.5) / Math.sqrt(Math.max(d2 - radius * radius, 1e-6));
    return out;
  }

  /** Device-independent pixels per scene unit at distance one. */
  get pixels(): number {
    return this.camera.projectionMatrix.elements[5] * this.height * 0.5;
  }

  /** Room that labels and the page's own panels need around the spheres. */
  private get insets(): Insets {
    const side = clamp(this.width * 0.085, 22, 70);
    const bottom = (this.layout?.count ?? 0) > ROOMY ? 84 : 60;
    const own = { top: 60, right: side, bottom, left: side };
    return { ...own, ...this.panels(this.width) };
  }

  private turn(): void {
    this.pose.azimuth += this.spin.azimuth;
    this.pose.elevation = clamp(this.pose.elevation + this.spin.elevation, MIN_ELEVATION, MAX_ELEVATION);
  }

  private apply(now = 0): void {
    const progress = this.flight ? clamp((now - this.flight.started) / FLIGHT_MS, 0, 1) : 1;
    const ease = 1 - (1 - progress) ** 3;
    const flight = this.flight ? this.flight.from + (1 - this.flight.from) * ease : 1;
    this.place(this.fitDistance * this.pose.zoom * flight, this.shift.x, this.shift.y);
  }

  private place(distance: number, shiftX: number, shiftY: number): void {
    const { azimuth, elevation } = this.pose;
    const c = this.camera;
    c.position.set(
      Math.sin(azimuth) * Math.cos(elevation) * distance,
      Math.sin(elevation) * distance,
      Math.cos(azimuth) * Math.cos(elevation) * distance,
    );
    c.lookAt(0, 0, 0);
    c.updateMatrixWorld();
    c.aspect = this.width / this.height;
    c.near = Math.max(0.5, distance / 60);
    c.far = distance + (this.layout?.extent ?? 100) * 3;
    c.updateProjectionMatrix();
    c.projectionMatrix.elements[8] = -shiftX;
    c.projectionMatrix.elements[9] = -shiftY;
    c.projectionMatrixInverse.copy(c.projectionMatrix).invert();
  }

  /** Nearest distance at which the default view shows everything, and the shift that centres it. */
  private fit(): void {
    if (!this.layout) return;
    const kept = this.pose;
    this.pose = { ...defaultPose(this.width / this.height), zoom: 1 };
    const { top, right, bottom, left } = this.insets;
    const room = { w: Math.max(60, this.width - left - right), h: Math.max(60, this.height - top - bottom) };
    let near = this.layout.extent * 1.1;
    let far = this.layout.extent * 40;
    for (let i = 0; i < 26; i++) {
      const middle = Math.sqrt(near * far);
      const box = this.bounds(middle);
      if (box.right - box.left <= room.w && box.bottom - box.top <= room.h) far = middle;
      else near = middle;
    }
    this.fitDistance = far;
    this.centre(this.bounds(far));
    this.pose = kept;
    this.apply();
  }

  private centre(box: Insets): void {
    const { top, right, bottom, left } = this.insets;
    const x = (left + this.width - right) / 2 - (box.left + box.right) / 2;
    const y = (top + this.height - bottom) / 2 - (box.top + box.bottom) / 2;
    this.shift = { x: (2 * x) / this.width, y: (-2 * y) / this.height };
  }

  private bounds(distance: number): Insets {
    this.place(distance, 0, 0);
    const layout = this.layout as Layout;
    const spot: Spot = { x: 0, y: 0, r: 0, depth: 0 };
    const box = { top: Infinity, right: -Infinity, bottom: -Infinity, left: Infinity };
    const first = Math.max(0, layout.count - FIT_SAMPLES);
    const grow = (x: number, z: number, radius: number) => {
      this.project(x, 0, z, radius * 1.25, spot);
      if (spot.depth <= 0) return;
      box.left = Math.min(box.left, spot.x - spot.r);
      box.right = Math.max(box.right, spot.x + spot.r);
      box.top = Math.min(box.top, spot.y - spot.r);
      box.bottom = Math.max(box.bottom, spot.y + spot.r);
    };
    grow(0, 0, layout.centreRadius);
    for (let i = first; i < layout.count; i++) {
      grow(layout.spheres[i * 4], layout.spheres[i * 4 + 2], layout.spheres[i * 4 + 3]);
    }
    return box;
  }
}
