import { type Insets, OrbitCamera, type Pose } from "./camera";
import { brief } from "./format";
import { Input } from "./input";
import { Labels } from "./labels";
import { type Layout, layOut } from "./layout";
import { Overlay } from "./overlay";
import { type Tokens, tokens } from "./palette";
import { pick } from "./picking";
import type { Marks } from "./spheres";
import { Stage } from "./stage";
import type { Items, Meta, Rect, ViewerEvents } from "./types";

export const VERSION = "0.1.0";
const FRAME_GAP_MS = 50;
const PENDING_MS = 6000;

function same(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** The sphere view: give it items and meta; it reports what the person does. */
export class Viewer {
  ready = false;
  lastUpdateBytes = 0;
  frameMs = 0;
  updateMs = 0;
  frames = 0;
  private readonly labels = new Labels();
  private readonly overlay: Overlay;
  private readonly camera: OrbitCamera;
  private readonly stage: Stage | null;
  private readonly input: Input | null = null;
  private readonly quit = new AbortController();
  private readonly watchers: { disconnect(): void }[] = [];
  private readonly quiet = window.matchMedia("(prefers-reduced-motion: reduce)");
  private items: Items | null = null;
  private meta: Meta | null = null;
  private layout: Layout | null = null;
  private tokens: Tokens = tokens("dark", "safe");
  private marks: Marks = { selected: -1, hovered: -1, pending: -1 };
  private selectedId: string | null = null;
  private pendingId: string | null = null;
  private pendingTimer = 0;
  private frame = 0;
  private pause = 0;
  private labelsDue = true;
  private lastPose = "";
  private inView = true;
  private lost = false;

  /** `panels` gives the room that the page's own panels take from the scene, by its width. */
  constructor(
    host: HTMLElement | ShadowRoot,
    private readonly events: ViewerEvents,
    panels?: (width: number) => Partial<Insets>,
  ) {
    this.camera = new OrbitCamera(panels);
    this.overlay = new Overlay(host, this.labels.canvas);
    this.stage = this.openStage();
    if (!this.stage) return;
    this.input = new Input(this.overlay.canvas, {
      drag: (dx, dy) => { this.camera.drag(dx, dy, performance.now()); this.redraw(); },
      release: () => { this.camera.release(this.still, performance.now()); this.redraw(); },
      zoom: (factor) => { this.camera.zoom(factor); this.redraw(); },
      hover: (x, y, reach) => this.hover(this.pickAt(x, y, reach)),
      leave: () => this.hover(-1),
      select: (x, y, reach) => this.choose(this.pickAt(x, y, reach)),
      drill: (x, y, reach) => this.drill(this.pickAt(x, y, reach)),
      move: (step) => this.step(step),
      enter: () => this.drill(this.marks.selected),
      up: () => { if (this.meta?.path.length) this.events.up(); },
    });
    this.watch();
  }

  /** New data. The camera stays unless the path changed. */
  update(items: Items, meta: Meta): void {
    if (!this.stage) return;
    const started = performance.now();
    const before = this.meta;
    const moved = !before || !same(before.path, meta.path);
    this.honour(meta, moved);
    const relaid = this.relaid(items, meta, moved);
    this.items = items;
    this.meta = meta;
    this.restyle(before, meta);
    const layoutBytes = relaid ? this.place(items, meta) : 0;
    if (moved) this.arrive(before, meta);
    this.lastUpdateBytes = layoutBytes + this.remark();
    this.overlay.describe(items, meta);
    this.updateMs = performance.now() - started;
    this.redraw();
  }

  select(id: string | null): void {
    this.selectedId = id;
    this.remark();
    this.redraw();
  }

  /** Goes on in another element, as it is. */
  moveTo(host: HTMLElement | ShadowRoot): void {
    host.append(this.overlay.root);
    this.redraw();
  }

  dispose(): void {
    this.quit.abort();
    this.input?.dispose();
    for (const w of this.watchers) w.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.pause);
    clearTimeout(this.pendingTimer);
    this.stage?.dispose();
    this.overlay.dispose();
  }

  toast(text: string): void {
    this.overlay.toast(text);
  }

  get path(): readonly string[] {
    return this.meta?.path ?? [];
  }

  get ids(): readonly string[] {
    return this.items?.id ?? [];
  }

  get selected(): string | null {
    return this.selectedId;
  }

  get drawCalls(): number {
    return this.stage?.drawCalls ?? 0;
  }

  get triangles(): number {
    return this.stage?.triangles ?? 0;
  }

  labelRects(): Rect[] {
    return this.labels.rects.map((r) => ({ ...r }));
  }

  /** Whether the camera has come to rest. */
  get resting(): boolean {
    return !this.camera.moving;
  }

  cameraState(): Pose {
    return this.camera.state();
  }

  /** Where an item is in the window, in CSS pixels. */
  screenOf(id: string): { x: number; y: number; r: number } | null {
    const i = this.ids.indexOf(id);
    if (i < 0 || !this.layout) return null;
    const [x, y, z, r] = this.layout.spheres.subarray(i * 4, i * 4 + 4);
    const spot = this.camera.project(x, y, z, r, { x: 0, y: 0, r: 0, depth: 0 });
    const box = this.overlay.canvas.getBoundingClientRect();
    return { x: box.left + spot.x, y: box.top + spot.y, r: spot.r };
  }

  /** The item under a point of the window. */
  pickClient(x: number, y: number): string | null {
    const box = this.overlay.canvas.getBoundingClientRect();
    return this.ids[this.pickAt(x - box.left, y - box.top, 12)] ?? null;
  }

  /** False while the WebGL context is lost. */
  get drawsNow(): boolean {
    return !this.lost;
  }

  loseContext(): void {
    this.stage?.loseContext();
  }

  restoreContext(): void {
    this.stage?.restoreContext();
  }

  /** Draws now and counts the pixels that are not background. */
  inked(): number {
    if (!this.stage) return 0;
    this.draw(performance.now());
    return this.stage.inked();
  }

  /** Draws one frame now, whatever is due. */
  drawNow(): void {
    this.labelsDue = true;
    this.draw(performance.now());
  }

  private get still(): boolean {
    return this.meta?.reduced_motion ?? this.quiet.matches;
  }

  private openStage(): Stage | null {
    try {
      return new Stage(this.overlay.canvas);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  private fail(reason: string): void {
    this.overlay.message(`The 3D view needs WebGL 2, which did not start here: ${reason}`);
    setTimeout(() => this.events.failed(reason), 300);
  }

  private watch(): void {
    const options = { signal: this.quit.signal };
    const canvas = this.overlay.canvas;
    const size = new ResizeObserver(() => this.resize());
    size.observe(this.overlay.root);
    const sight = new IntersectionObserver((seen) => {
      this.inView = seen[seen.length - 1].isIntersecting;
      this.redraw();
    });
    sight.observe(this.overlay.root);
    this.watchers.push(size, sight);
    canvas.addEventListener("webglcontextlost", (e) => { e.preventDefault(); this.lost = true; }, options);
    canvas.addEventListener("webglcontextrestored", () => this.revive(), options);
    document.addEventListener("visibilitychange", () => this.redraw(), options);
    document.fonts.addEventListener("loadingdone", () => this.relabel(), options);
    this.quiet.addEventListener("change", () => this.redraw(), options);
  }

  /** The renderer forgets its background with its context. */
  private revive(): void {
    this.lost = false;
    this.stage?.setColours(this.tokens);
    this.redraw();
  }

  private relabel(): void {
    this.labels.forget();
    this.labelsDue = true;
    this.redraw();
  }

  private resize(): void {
    const { clientWidth: w, clientHeight: h } = this.overlay.canvas;
    if (!this.stage || w === 0 || h === 0) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.stage.resize(w, h, ratio);
    this.labels.resize(w, h, window.devicePixelRatio || 1);
    this.overlay.fold(w);
    this.camera.resize(w, h);
    this.labelsDue = true;
    this.draw(performance.now());
  }

  private honour(meta: Meta, moved: boolean): void {
    if (moved || meta.select_seq !== this.meta?.select_seq) this.selectedId = meta.selected;
  }

  private relaid(items: Items, meta: Meta, moved: boolean): boolean {
    const old = this.items;
    if (!old || moved || old.count !== items.count || meta.level !== this.meta?.level) return true;
    return !same(old.capacityKwh, items.capacityKwh) || !same(old.id, items.id);
  }

  private restyle(before: Meta | null, meta: Meta): void {
    if (before?.theme === meta.theme && before.palette === meta.palette && before.height === meta.height) return;
    this.tokens = tokens(meta.theme, meta.palette);
    this.overlay.setTheme(meta, this.tokens);
    this.stage?.setColours(this.tokens);
    if (before?.height !== meta.height) this.resize();
  }

  private place(items: Items, meta: Meta): number {
    this.layout = layOut(items, meta.level);
    this.camera.setLayout(this.layout);
    return this.stage?.setLayout(this.layout) ?? 0;
  }

  private arrive(before: Meta | null, meta: Meta): void {
    const deeper = before !== null && meta.path.length > before.path.length;
    this.setPending(null);
    this.marks.hovered = -1;
    this.overlay.hideTip();
    this.camera.fly(deeper ? 1.45 : 0.72, performance.now(), this.still || before === null);
  }

  private remark(): number {
    if (!this.items || !this.meta || !this.stage) return 0;
    const find = (id: string | null) => (id === null ? -1 : (this.items as Items).id.indexOf(id));
    this.marks = { ...this.marks, selected: find(this.selectedId), pending: find(this.pendingId) };
    if (this.marks.hovered >= this.items.count) this.marks.hovered = -1;
    this.labels.rank(this.items, this.marks, this.meta.label_cap);
    this.labelsDue = true;
    return this.stage.setState(this.items, this.meta.parent.depth, this.marks);
  }

  private pickAt(x: number, y: number, reach: number): number {
    return this.layout ? pick(this.layout, this.camera, x, y, reach) : -1;
  }

  private hover(i: number): void {
    if (i === this.marks.hovered) return;
    this.marks.hovered = i;
    this.overlay.canvas.classList.toggle("over", i >= 0);
    this.remark();
    this.redraw();
  }

  private choose(i: number): void {
    const id = this.items?.id[i] ?? null;
    if (id === this.selectedId) return;
    this.select(id);
    if (this.items && this.meta && i >= 0) this.overlay.say(`${this.items.name[i]}, ${brief(this.items, i, this.meta.sign)}`);
    this.events.selected(id);
  }

  private step(by: number): void {
    const count = this.items?.count ?? 0;
    if (count === 0) return;
    const from = this.marks.selected < 0 && by < 0 ? 0 : this.marks.selected;
    this.choose((from + by + count) % count);
  }

  private drill(i: number): void {
    const items = this.items;
    if (!items || !this.meta || i < 0 || this.pendingId !== null) return;
    if (!items.canDrill[i]) {
      this.overlay.toast(this.meta.no_drill_reason);
      return;
    }
    this.setPending(items.id[i]);
    this.remark();
    this.redraw();
    this.events.drill(items.id[i]);
  }

  private setPending(id: string | null): void {
    clearTimeout(this.pendingTimer);
    this.pendingId = id;
    if (id === null) return;
    this.pendingTimer = window.setTimeout(() => {
      this.pendingId = null;
      this.remark();
      this.redraw();
    }, PENDING_MS);
  }

  private redraw(): void {
    clearTimeout(this.pause);
    this.pause = 0;
    if (!this.frame) this.frame = requestAnimationFrame((now) => this.tick(now));
  }

  private tick(now: number): void {
    this.frame = 0;
    const moving = this.camera.step(now);
    this.draw(now);
    if (moving) this.redraw();
    else if (this.animated) this.pause = window.setTimeout(() => this.redraw(), FRAME_GAP_MS - 8);
  }

  private get animated(): boolean {
    const alive = this.inView && !document.hidden && !this.still && !this.lost;
    return alive && (this.stage?.flowing === true || this.pendingId !== null);
  }

  private draw(now: number): void {
    const { stage, layout, items, meta } = this;
    if (!stage || !layout || !items || !meta || this.lost || this.camera.width <= 1) return;
    const started = performance.now();
    stage.render(this.camera, now / 1000, this.still);
    if (stage.shaderError) {
      this.fail(stage.shaderError);
      return;
    }
    this.write(layout, items, meta);
    this.ready = true;
    this.frames++;
    this.frameMs = performance.now() - started;
  }

  private write(layout: Layout, items: Items, meta: Meta): void {
    const pose = this.camera.camera.projectionMatrix.elements.join() + this.camera.camera.matrixWorld.elements.join();
    if (!this.labelsDue && pose === this.lastPose) return;
    this.labelsDue = false;
    this.lastPose = pose;
    this.labels.draw(layout, this.camera, items, meta, this.tokens, this.marks, this.overlay.taken());
    if (meta.show_labels) this.overlay.setNote(this.labels.shown, items.count);
    this.tip(layout, items, meta);
  }

  private tip(layout: Layout, items: Items, meta: Meta): void {
    const i = this.marks.hovered;
    if (i < 0) {
      this.overlay.hideTip();
      return;
    }
    const [x, y, z, r] = layout.spheres.subarray(i * 4, i * 4 + 4);
    const spot = this.camera.project(x, y, z, r, { x: 0, y: 0, r: 0, depth: 0 });
    this.overlay.showTip(items, i, spot, meta);
  }
}
