import { PerspectiveCamera, Vector3 } from "three";
import { ROOMY } from "./layouts/layout";
import { type Layout, isSurrounded } from "./layouts/types";
import type { Spot } from "./types";

/** Angles [rad], what is looked at, and from how far in units of where everything fits. */
export interface Pose extends Aim {
  azimuth: number;
  elevation: number;
}

export interface Insets {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

/** What one looks at and from how far, in units of the distance at which everything fits. */
interface Aim {
  x: number;
  y: number;
  z: number;
  zoom: number;
}

const FOV = 30;
const MIN_ELEVATION = 0.06;
const MAX_ELEVATION = 1.5;
const FLIGHT_MS = 360;
const HOLD_MS = 60;
const GLIDE = 0.4;
const NEAREST_ZOOM = 0.12;
/** A crowded layout is filled from the inside: its last items are its rim. */
const FIT_SAMPLES = 400;
const COMPASS = Array.from({ length: 8 }, (_, k) => [Math.sin(k * Math.PI / 4), Math.cos(k * Math.PI / 4)] as const);
const HOME: Aim = { x: 0, y: 0, z: 0, zoom: 1 };

function clamp(x: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, x));
}

/** Looks down at about 50 degrees: flatter on a wide canvas, steeper on a tall one. */
function defaultElevation(aspect: number, layout: Layout | null): number {
  const degrees = aspect > 1 ? Math.max(40, 52 - 8 * (aspect - 1)) : 52 + 20 * Math.min(1, (1 - aspect) / 0.5);
  return layout?.elevation ?? (degrees * Math.PI) / 180;
}

/** A camera that orbits what it looks at, fits the layout and glides to rest. */
export class OrbitCamera {
  readonly camera = new PerspectiveCamera(FOV, 1, 1, 10_000);
  width = 1;
  height = 1;
  moving = false;
  private azimuth = 0;
  private elevation = defaultElevation(1.5, null);
  private aim: Aim = { ...HOME };
  private touched = false;
  private spin = { azimuth: 0, elevation: 0 };
  private dragging = false;
  private lastDrag = 0;
  private flight: { from: Aim; started: number } | null = null;
  private fitDistance = 300;
  private shift = { x: 0, y: 0 };
  private layout: Layout | null = null;

  constructor(private readonly panels: (width: number) => Partial<Insets> = () => ({})) {}

  resize(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.camera.aspect = this.width / this.height;
    if (!this.touched) this.elevation = defaultElevation(this.camera.aspect, this.layout);
    this.fit();
  }

  /** Other places: what was looked at is elsewhere now, so that all of it is shown again. */
  setLayout(layout: Layout): void {
    const turned = this.layout?.elevation !== layout.elevation;
    this.layout = layout;
    if (Math.hypot(this.aim.x, this.aim.y, this.aim.z) > 0) this.aim = { ...HOME };
    if (turned || !this.touched) this.elevation = defaultElevation(this.camera.aspect, layout);
    this.fit();
  }

  /** Back to the default view; a flight starts nearer or farther and settles. */
  fly(from: number, now: number, still: boolean): void {
    this.azimuth = 0;
    this.elevation = defaultElevation(this.camera.aspect, this.layout);
    this.touched = false;
    this.go({ ...HOME, zoom: from }, HOME, now, still);
  }

  /** To a thing of this radius, so near that it and what is around it can be read. */
  flyTo(x: number, y: number, z: number, radius: number, now: number, still: boolean): void {
    this.touched = true;
    const zoom = clamp((radius * 11) / this.fitDistance, this.nearest, 1);
    this.go({ ...this.aim }, { x, y, z, zoom }, now, still);
  }

  drag(dx: number, dy: number, now: number): void {
    this.lastDrag = now;
    const turn = Math.PI / Math.max(400, Math.min(this.width, this.height));
    this.spin = { azimuth: -dx * turn, elevation: dy * turn };
    this.dragging = true;
    this.touched = true;
    this.turn();
  }

  /** Moves what is looked at along the canvas, by CSS pixels. */
  pan(dx: number, dy: number): void {
    const unit = (this.fitDistance * this.aim.zoom) / this.pixels;
    const e = this.camera.matrixWorld.elements;
    const limit = this.layout?.extent ?? 100;
    const along = (axis: 0 | 1 | 2) => (-e[axis] * dx + e[4 + axis] * dy) * unit;
    this.aim.x = clamp(this.aim.x + along(0), -limit, limit);
    this.aim.y = clamp(this.aim.y + along(1), -limit, limit);
    this.aim.z = clamp(this.aim.z + along(2), -limit, limit);
    this.touched = true;
    this.apply();
  }

  /** Ends a drag; a hand that was still moving leaves a short glide behind. */
  release(still: boolean, now: number): void {
    this.dragging = false;
    const glide = still || now - this.lastDrag > HOLD_MS ? 0 : GLIDE;
    this.spin = { azimuth: this.spin.azimuth * glide, elevation: this.spin.elevation * glide };
    this.moving = true;
  }

  zoom(factor: number): void {
    this.aim.zoom = clamp(this.aim.zoom * factor, this.nearest, 4);
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

  /** Differs whenever the same place is seen elsewhere on the canvas. */
  get seenFrom(): string {
    const { projectionMatrix: lens, matrixWorld: stand } = this.camera;
    return [this.width, this.height, ...lens.elements, ...stand.elements].join();
  }

  state(): Pose {
    return { azimuth: this.azimuth, elevation: this.elevation, ...this.aim };
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

  /** Near enough for the smallest sphere. */
  private get nearest(): number {
    return Math.min(NEAREST_ZOOM, ((this.layout?.smallest ?? 8) * 7) / this.fitDistance);
  }

  private go(from: Aim, to: Aim, now: number, still: boolean): void {
    this.spin = { azimuth: 0, elevation: 0 };
    this.aim = { ...to };
    this.flight = still ? null : { from, started: now };
    this.moving = !still;
    this.fit();
  }

  private turn(): void {
    this.azimuth += this.spin.azimuth;
    this.elevation = clamp(this.elevation + this.spin.elevation, MIN_ELEVATION, MAX_ELEVATION);
  }

  /** Where the flight is; zoom goes by ratios, so that the ground goes by evenly. */
  private aimed(now: number): Aim {
    if (!this.flight) return this.aim;
    const progress = clamp((now - this.flight.started) / FLIGHT_MS, 0, 1);
    const ease = 1 - (1 - progress) ** 3;
    const { from } = this.flight;
    const part = (a: number, b: number) => a + (b - a) * ease;
    return {
      x: part(from.x, this.aim.x), y: part(from.y, this.aim.y), z: part(from.z, this.aim.z),
      zoom: from.zoom * (this.aim.zoom / from.zoom) ** ease,
    };
  }

  private apply(now = 0): void {
    const aim = this.aimed(now);
    const away = Math.hypot(aim.x, aim.y, aim.z) / Math.max(1, this.layout?.extent ?? 1);
    const centred = clamp(1 - 4 * away, 0, 1);
    this.place(aim, this.fitDistance * aim.zoom, this.shift.x * centred, this.shift.y * centred);
  }

  private place(aim: Pick<Aim, "x" | "y" | "z">, distance: number, shiftX: number, shiftY: number): void {
    const { azimuth, elevation } = this;
    const c = this.camera;
    c.position.set(
      aim.x + Math.sin(azimuth) * Math.cos(elevation) * distance,
      aim.y + Math.sin(elevation) * distance,
      aim.z + Math.cos(azimuth) * Math.cos(elevation) * distance,
    );
    c.lookAt(new Vector3(aim.x, aim.y, aim.z));
    c.updateMatrixWorld();
    c.near = Math.max(0.2, distance / 60);
    c.far = distance + (this.layout?.extent ?? 100) * 3;
    c.updateProjectionMatrix();
    c.projectionMatrix.elements[8] = -shiftX;
    c.projectionMatrix.elements[9] = -shiftY;
    c.projectionMatrixInverse.copy(c.projectionMatrix).invert();
  }

  /** Nearest distance at which the default view shows everything, and the shift that centres it. */
  private fit(): void {
    if (!this.layout) return;
    const kept = [this.azimuth, this.elevation];
    this.azimuth = 0;
    this.elevation = defaultElevation(this.camera.aspect, this.layout);
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
    [this.azimuth, this.elevation] = kept;
    this.apply();
  }

  private centre(box: Insets): void {
    const { top, right, bottom, left } = this.insets;
    const x = (left + this.width - right) / 2 - (box.left + box.right) / 2;
    const y = (top + this.height - bottom) / 2 - (box.top + box.bottom) / 2;
    this.shift = { x: (2 * x) / this.width, y: (-2 * y) / this.height };
  }

  private bounds(distance: number): Insets {
    this.place(HOME, distance, 0, 0);
    const layout = this.layout as Layout;
    const spot: Spot = { x: 0, y: 0, r: 0, depth: 0 };
    const box = { top: Infinity, right: -Infinity, bottom: -Infinity, left: Infinity };
    const grow = (x: number, y: number, z: number, radius: number) => {
      this.project(x, y, z, radius * 1.25, spot);
      if (spot.depth <= 0) return;
      box.left = Math.min(box.left, spot.x - spot.r);
      box.right = Math.max(box.right, spot.x + spot.r);
      box.top = Math.min(box.top, spot.y - spot.r);
      box.bottom = Math.max(box.bottom, spot.y + spot.r);
    };
    grow(0, 0, 0, layout.centreRadius);
    for (const [x, y, z, r] of this.outline(layout)) grow(x, y, z, r);
    for (const c of layout.clusters) grow(c.x, 0, c.z, c.r * 0.8);
    if (layout.sweep) for (const [a, b] of COMPASS) grow(a * layout.sweep, 0, b * layout.sweep, 0);
    return box;
  }

  /** Spheres that are inside the picture when everything is. */
  private *outline(layout: Layout): Generator<readonly [number, number, number, number]> {
    const { spheres: s, reach, tops } = layout;
    const step = Math.max(1, Math.floor(tops.length / FIT_SAMPLES));
    for (let k = 0; k < tops.length; k += k < tops.length - FIT_SAMPLES ? step : 1) {
      const i = tops[k];
      const [x, y, z, r] = s.subarray(i * 4, i * 4 + 4);
      yield [x, y, z, layout.elevation === null ? r : reach[i]];
      if (!isSurrounded(layout, i) || layout.elevation !== null) continue;
      for (const [a, b] of COMPASS) yield [x + a * reach[i], y, z + b * reach[i], 0];
    }
  }
}
