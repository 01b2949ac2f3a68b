import { type Insets, OrbitCamera } from "./camera";
import { Labels } from "./labels";
import { growth, layOut } from "./layouts/layout";
import { ORBITS_MAX, Orbits } from "./layouts/orbits";
import type { Layout } from "./layouts/types";
import { GLIDE_MAX, Transition } from "./motion";
import { type Tokens, tokens } from "./palette";
import { pick } from "./picking";
import { Projection } from "./projection";
import { rampOf, tintsOf } from "./ramps";
import { Stage } from "./stage";
import { NO_SPARKS, type Sparks, TRAILS_MAX, sparksOf } from "./trails";
import type { Extremes, Items, Marks, Meta, Rect, Spot, Trails } from "./types";

/** What is shown: the data, and how. */
export interface Shown {
  items: Items;
  meta: Meta;
  trails: Trails | null;
  extremes: Extremes | null;
}

function same(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Everything that is drawn: places, colours, labels and the eye. */
export class Scene3d {
  readonly camera: OrbitCamera;
  readonly labels: Labels;
  readonly stage: Stage;
  layout: Layout | null = null;
  shown: Shown | null = null;
  tokens: Tokens = tokens("dark", "safe");
  ramp: readonly string[] = [];
  marks: Marks = { selected: -1, hovered: -1, pending: -1 };
  labelsDue = true;
  private readonly seen = new Projection();
  private tints = new Uint8Array(0);
  private growth: Float32Array = new Float32Array(0);
  private sparks: Sparks = NO_SPARKS;
  private trailed: ReadonlySet<number> = new Set();
  private transition: Transition | null = null;
  private orbits: Orbits | null = null;
  private orbitTime = 0;
  private writtenFrom = "";
  private width = 1;
  private height = 1;
  private fresh = false;

  constructor(canvas: HTMLCanvasElement, labels: HTMLCanvasElement, panels?: (width: number) => Partial<Insets>) {
    this.labels = new Labels(labels);
    this.camera = new OrbitCamera(panels);
    this.stage = new Stage(canvas);
  }

  /** Takes new data; returns the bytes that go to the GPU for places. */
  show(next: Shown, moved: boolean, now: number, still: boolean): number {
    const before = this.shown;
    this.shown = next;
    this.restyle(before?.meta ?? null, next.meta);
    const bytes = this.relaid(before, next, moved) ? this.place(before, next, moved, now, still) : 0;
    this.fresh = next.items.freshAlarm.includes(1);
    if (this.tints.length !== next.items.count) this.tints = new Uint8Array(next.items.count);
    tintsOf(next.items, next.meta.colour, this.tints);
    return bytes + this.trail(next);
  }

  /** Marks and states; returns the bytes that go to the GPU. */
  mark(marks: Marks): number {
    this.marks = marks;
    if (!this.shown || !this.layout) return 0;
    const { items, meta } = this.shown;
    this.labels.rank(items, marks, meta.label_cap);
    this.labelsDue = true;
    return this.stage.setState(items, { tints: this.tints, growth: this.growth }, meta.parent.depth, marks);
  }

  setSize(width: number, height: number, ratio: number, labelRatio: number): void {
    this.width = width;
    this.height = height;
    this.stage.resize(width, height, ratio);
    this.labels.resize(width, height, labelRatio);
    this.camera.resize(width, height);
    this.labelsDue = true;
  }

  /** The renderer forgets its background with its context. */
  revive(): void {
    this.stage.setColours(this.tokens, this.ramp);
  }

  /** Advances all motion; true while there is more to come at once. */
  step(now: number, still: boolean): boolean {
    const turning = this.camera.step(now);
    const { layout } = this;
    if (!layout || !this.shown) return turning;
    if (this.transition) {
      if (!this.transition.step(now)) this.transition = null;
      this.moveAll(layout);
      this.orbitTime = now;
    } else if (this.orbits?.moves) {
      const seconds = Math.min(0.2, Math.max(0, (now - this.orbitTime) / 1000));
      this.orbitTime = now;
      if (seconds > 0 || still) {
        this.orbits.advance(seconds, this.shown.items, still);
        this.moveAll(layout);
      }
    }
    return turning || this.transition !== null;
  }

  /** Whether something is to be seen moving as long as motion is allowed. */
  get lively(): boolean {
    return this.stage.flowing || this.fresh || this.orbits?.moves === true;
  }

  /** Whether camera and items have come to rest, but for orbits. */
  get resting(): boolean {
    return !this.camera.moving && this.transition === null;
  }

  render(seconds: number, still: boolean): void {
    this.stage.render(this.camera, seconds, still);
  }

  /** Labels anew if what they stand beside moved; true if they were written. */
  write(taken: () => Rect[]): boolean {
    const { layout, shown, camera } = this;
    if (!layout || !shown) return false;
    const { seenFrom } = camera;
    if (!this.labelsDue && seenFrom === this.writtenFrom) return false;
    this.labelsDue = false;
    this.writtenFrom = seenFrom;
    this.seen.refresh(layout, camera);
    const { tokens: t, marks } = this;
    const { items, meta } = shown;
    this.labels.draw({ layout, camera, seen: this.seen, items, meta, tokens: t, marks, trailed: this.trailed }, taken());
    return true;
  }

  pickAt(x: number, y: number, reach: number): number {
    return this.layout ? pick(this.current(this.layout), x, y, reach) : -1;
  }

  spot(i: number): Spot | null {
    if (!this.layout || i < 0 || i >= this.layout.count) return null;
    return this.current(this.layout).spot(i);
  }

  flyTo(i: number, now: number, still: boolean): void {
    const { layout } = this;
    if (!layout || i < 0 || i >= layout.count) return;
    const [x, y, z, r] = layout.spheres.subarray(i * 4, i * 4 + 4);
    this.camera.flyTo(x, y, z, Math.max(layout.reach[i], r), now, still);
  }

  /** Rows with the same parent as row i, in their order. */
  siblings(i: number): number[] {
    const { layout } = this;
    if (!layout) return [];
    const parent = i < 0 ? -1 : layout.parentRow[i];
    const found: number[] = [];
    layout.parentRow.forEach((p, row) => { if (p === parent) found.push(row); });
    return found;
  }

  /** The scene on its own canvas at `scale` times its size, with its labels, until `done` returns. */
  enlarged<T>(scale: number, seconds: number, taken: Rect[],
    done: (scene: HTMLCanvasElement, labels: HTMLCanvasElement) => T): T {
    const { stage, labels, width, height } = this;
    const ratio = stage.renderer.getPixelRatio();
    const labelRatio = labels.ratio;
    try {
      stage.resize(width, height, scale);
      labels.resize(width, height, scale);
      this.labelsDue = true;
      this.render(seconds, true);
      this.write(() => taken);
      return done(stage.canvas, labels.canvas);
    } finally {
      stage.resize(width, height, ratio);
      labels.resize(width, height, labelRatio);
      this.labelsDue = true;
    }
  }

  /** What is left out, in words. */
  get omitted(): string {
    if (!this.shown || !this.layout) return "";
    const many = this.layout.count.toLocaleString("en");
    const words: string[] = [];
    if (this.shown.trails && this.layout.count > TRAILS_MAX) words.push(`no trails: ${many} items, at most ${TRAILS_MAX}`);
    if (this.orbits && !this.orbits.moves) words.push(`orbits stand still: ${many} items, at most ${ORBITS_MAX}`);
    return words.join("; ");
  }

  dispose(): void {
    this.stage.dispose();
  }

  private current(layout: Layout): Projection {
    this.seen.refresh(layout, this.camera);
    return this.seen;
  }

  private moveAll(layout: Layout): void {
    this.stage.move(layout);
    this.seen.forget();
    this.labelsDue = true;
  }

  private restyle(before: Meta | null, meta: Meta): void {
    const key = (m: Meta | null) => m && [m.theme, m.palette, m.colour.by, m.colour.kind].join();
    if (key(before) === key(meta)) return;
    this.tokens = tokens(meta.theme, meta.palette);
    this.ramp = rampOf(meta, this.tokens);
    this.stage.setColours(this.tokens, this.ramp);
  }

  private relaid(before: Shown | null, { items, meta }: Shown, moved: boolean): boolean {
    if (!before || !this.layout || moved) return true;
    const old = before.items;
    const kept = old.count === items.count && before.meta.level === meta.level && before.meta.layout === meta.layout
      && same(before.meta.groups, meta.groups) && same(old.parentRow, items.parentRow) && same(old.tier, items.tier)
      && (meta.groups.length === 0 || same(old.group, items.group)) && old.id.same(items.id);
    if (!kept) return true;
    if (same(old.capacityKwh, items.capacityKwh)) return false;
    const grown = growth(this.layout, items.capacityKwh, meta.level, this.growth);
    this.seen.forget();
    return !grown;
  }

  private place(before: Shown | null, { items, meta, trails }: Shown, moved: boolean, now: number,
    still: boolean): number {
    const old = this.layout;
    const layout = layOut(items, meta.level, meta.layout, meta.groups);
    this.layout = layout;
    this.growth = new Float32Array(items.count).fill(1);
    this.orbits = meta.layout === "orbits" && meta.groups.length === 0 ? new Orbits(layout, items) : null;
    this.orbitTime = now;
    this.camera.setLayout(layout);
    this.sparks = sparksOf(trails, layout);
    const bytes = this.stage.setLayout(layout, this.sparks);
    this.seen.forget();
    const glide = before && old && !moved && !still && Math.max(old.count, items.count) <= GLIDE_MAX;
    this.transition = glide ? new Transition(layout, items, old, before.items, now) : null;
    if (this.transition) this.stage.move(layout);
    return bytes;
  }

  private trail({ trails }: Shown): number {
    const { layout } = this;
    if (!layout || (!trails && this.sparks.count === 0)) return 0;
    const next = sparksOf(trails, layout);
    this.sparks = next;
    this.trailed = new Set(next.row);
    if (this.stage.lines.fits(next)) return this.stage.lines.setSparks(layout, next);
    return this.stage.lines.setLayout(layout, next);
  }
}
