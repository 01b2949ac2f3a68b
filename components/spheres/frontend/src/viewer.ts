import { Announcer } from "./announcer";
import type { Insets } from "./camera";
import { Corner } from "./corner";
import { type Ends, endsBelow, spokenEnds } from "./extremes";
import { alarmed } from "./format";
import { Input } from "./input";
import { Help, type KeyActions, press } from "./keys";
import { Legend } from "./legend";
import { ItemList } from "./list";
import { type Drawn, Loop } from "./loop";
import { Menu } from "./menu";
import { Overlay } from "./overlay";
import { picture, savePage, savePicture } from "./picture";
import { Scene3d } from "./scene";
import {
  type Extremes, type Items, type Marks, type Meta, type Told, type Trails, type ViewerEvents, complete,
} from "./types";
import { Vr } from "./xr";

export const VERSION = "0.2.0";
const PENDING_MS = 6000;
const NONE: Marks = { selected: -1, hovered: -1, pending: -1 };

export interface ViewerOptions {
  /** The room that the page's own panels take from the scene, by its width. */
  panels?: (width: number) => Partial<Insets>;
  /** Where the viewer's code is, for pages that are saved; null: there is no such place. */
  source?: string | null;
}

function samePath(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, k) => id === b[k]);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The sphere view: give it items and meta; it reports what the person does. */
export class Viewer implements Drawn {
  ready = false;
  lastUpdateBytes = 0;
  frameMs = 0;
  updateMs = 0;
  frames = 0;
  readonly scene: Scene3d | null;
  private readonly overlay: Overlay;
  private readonly legend = new Legend();
  private readonly corner: Corner;
  private readonly help = new Help();
  private readonly list: ItemList;
  private readonly menu: Menu;
  private readonly announcer: Announcer;
  private readonly input: Input | null = null;
  private readonly vr: Vr | null = null;
  private readonly quit = new AbortController();
  private readonly quiet = window.matchMedia("(prefers-reduced-motion: reduce)");
  private marks: Marks = { ...NONE };
  private selectedId: string | null = null;
  private pendingId: string | null = null;
  private pendingTimer = 0;
  private loop: Loop | null = null;

  constructor(host: HTMLElement | ShadowRoot, private readonly events: ViewerEvents, options: ViewerOptions = {}) {
    const labels = document.createElement("canvas");
    const keys = this.keys();
    this.corner = new Corner((id) => this.events.acknowledge?.(id));
    this.list = new ItemList((i) => this.choose(i), keys);
    this.menu = this.makeMenu(options.source ?? null);
    this.overlay = new Overlay(host, labels, [this.corner.root, this.legend.root, this.menu.root],
      [this.list.root, this.help.root]);
    this.announcer = new Announcer((text) => this.overlay.say(text));
    this.scene = this.openScene(labels, options.panels);
    if (!this.scene) return;
    this.input = this.listen(this.scene, keys);
    this.vr = this.offerVr(this.scene);
    this.loop = new Loop(this.overlay.root, this.overlay.canvas, this);
  }

  /** New data. The camera stays unless the path changed. */
  update(items: Items, told: Told, trails: Trails | null = null, extremes: Extremes | null = null): void {
    const { scene } = this;
    if (!scene) return;
    const started = performance.now();
    const before = this.meta;
    const meta = complete(told);
    const moved = !before || !samePath(before.path, meta.path);
    if (moved || meta.select_seq !== before.select_seq) this.selectedId = meta.selected;
    const bytes = scene.show({ items, meta, trails, extremes }, moved, started, this.still);
    this.dress(before, meta);
    if (moved) this.arrive(before, meta);
    this.lastUpdateBytes = bytes + this.remark();
    if (meta.fly_to !== null && meta.fly_seq !== (before?.fly_seq ?? 0)) this.flyTo(meta.fly_to);
    this.describe(items, meta);
    this.updateMs = performance.now() - started;
    this.redraw();
  }

  select(id: string | null): void {
    this.selectedId = id;
    this.remark();
    this.redraw();
  }

  /** Flies to an item of any tier; nothing happens when it is not shown. */
  flyTo(id: string): void {
    const { scene } = this;
    if (!scene?.shown) return;
    scene.flyTo(scene.shown.items.id.indexOf(id), performance.now(), this.still);
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
    this.announcer.quit();
    this.loop?.quit();
    clearTimeout(this.pendingTimer);
    this.scene?.dispose();
    this.overlay.dispose();
  }

  toast(text: string): void {
    this.overlay.toast(text);
  }

  get path(): readonly string[] {
    return this.meta?.path ?? [];
  }

  get ids(): readonly string[] {
    return this.items?.id.all() ?? [];
  }

  get selected(): string | null {
    return this.selectedId;
  }

  /** Where an item is in the window, in CSS pixels. */
  screenOf(id: string): { x: number; y: number; r: number } | null {
    const spot = this.scene?.spot(this.items?.id.indexOf(id) ?? -1);
    if (!spot) return null;
    const box = this.overlay.canvas.getBoundingClientRect();
    return { x: box.left + spot.x, y: box.top + spot.y, r: spot.r };
  }

  /** The item under a point of the window. */
  pickClient(x: number, y: number): string | null {
    const box = this.overlay.canvas.getBoundingClientRect();
    const i = this.pickAt(x - box.left, y - box.top, 12);
    return i < 0 ? null : this.items?.id.at(i) ?? null;
  }

  /** False while the WebGL context is lost. */
  get drawsNow(): boolean {
    return this.loop?.lost !== true;
  }

  /** Draws now and counts the pixels that are not background. */
  inked(): number {
    if (!this.scene) return 0;
    this.draw(performance.now());
    return this.scene.stage.inked();
  }

  /** Draws one frame now, whatever is due. */
  drawNow(): void {
    if (this.scene) this.scene.labelsDue = true;
    this.draw(performance.now());
  }

  /** The scene as a picture with its words, `scale` times its size. */
  picture(scale: number): HTMLCanvasElement | null {
    const paper = this.scene ? picture(this.scene, scale) : null;
    this.drawNow();
    return paper;
  }

  private get items(): Items | null {
    return this.scene?.shown?.items ?? null;
  }

  private get meta(): Meta | null {
    return this.scene?.shown?.meta ?? null;
  }

  private below(i: number): Ends[] {
    return endsBelow(this.scene?.shown?.extremes ?? null, i, this.meta?.readings ?? []);
  }

  private get still(): boolean {
    return this.meta?.reduced_motion ?? this.quiet.matches;
  }

  private openScene(labels: HTMLCanvasElement, panels?: ViewerOptions["panels"]): Scene3d | null {
    try {
      return new Scene3d(this.overlay.canvas, labels, panels);
    } catch (error) {
      this.fail(reasonOf(error));
      return null;
    }
  }

  private fail(reason: string): void {
    this.overlay.message(`The 3D view needs WebGL 2, which did not start here: ${reason}`);
    setTimeout(() => this.events.failed(reason), 300);
  }

  private keys(): KeyActions {
    return {
      move: (step) => this.walk(step),
      edge: (last) => this.edge(last),
      enter: () => this.drill(this.marks.selected),
      up: () => { if (this.meta?.path.length) this.events.up(); },
      zoom: (factor) => { this.scene?.camera.zoom(factor); this.redraw(); },
      playback: () => this.events.playback?.(),
      help: () => this.help.toggle(!this.help.open, this.overlay.canvas),
      escape: () => this.escape(),
    };
  }

  private makeMenu(source: string | null): Menu {
    const saving = (work: (scene: Scene3d) => Promise<void>) => {
      if (!this.scene) return;
      const done = work(this.scene);
      this.drawNow();
      done.catch((error: unknown) => this.toast(`Not saved: ${reasonOf(error)}`));
    };
    return new Menu({
      png: (scale) => saving((scene) => savePicture(scene, scale)),
      page: source === null ? undefined : () => saving((scene) => savePage(scene, source)),
      list: () => this.list.toggle(true),
      keys: () => this.help.toggle(true, this.menu.button),
      home: () => { this.scene?.camera.fly(1, performance.now(), true); this.redraw(); },
    });
  }

  private listen({ camera }: Scene3d, keys: KeyActions): Input {
    const { canvas } = this.overlay;
    canvas.addEventListener("keydown", (e) => press(e, keys), { signal: this.quit.signal });
    return new Input(canvas, {
      drag: (dx, dy) => { camera.drag(dx, dy, performance.now()); this.redraw(); },
      pan: (dx, dy) => { camera.pan(dx, dy); this.redraw(); },
      release: () => { camera.release(this.still, performance.now()); this.redraw(); },
      zoom: (factor) => { camera.zoom(factor); this.redraw(); },
      hover: (x, y, reach) => this.hover(this.pickAt(x, y, reach)),
      leave: () => this.hover(-1),
      select: (x, y, reach) => this.choose(this.pickAt(x, y, reach)),
      drill: (x, y, reach) => this.drill(this.pickAt(x, y, reach)),
    });
  }

  private offerVr(scene: Scene3d): Vr {
    const vr = new Vr(scene.stage, () => scene.layout, {
      select: (i) => this.choose(i), drill: (i) => this.drill(i), ended: () => { this.resize(); this.redraw(); },
      step: (now) => { scene.step(now, this.still); },
      failed: (reason) => this.toast(`VR did not start: ${reason}`),
    });
    void vr.offered(() => this.still, (start) => this.menu.offer("VR (experimental)", start));
    return vr;
  }

  /** The context is there again. */
  revive(): void {
    this.scene?.revive();
  }

  /** A font arrived. */
  relabel(): void {
    this.scene?.labels.forget();
    if (this.scene) this.scene.labelsDue = true;
  }

  resize(): void {
    const { clientWidth: w, clientHeight: h } = this.overlay.canvas;
    if (!this.scene || w === 0 || h === 0 || this.vr?.running) return;
    const ratio = window.devicePixelRatio || 1;
    this.legend.fold(w);
    this.scene.setSize(w, h, Math.min(ratio, 2), ratio);
    this.draw(performance.now());
  }

  private dress(before: Meta | null, meta: Meta): void {
    const { scene } = this;
    if (!scene) return;
    this.legend.show(meta, scene.tokens, scene.ramp);
    const same = before?.theme === meta.theme && before.palette === meta.palette && before.height === meta.height;
    if (same) return;
    this.overlay.setTheme(meta, scene.tokens);
    if (before?.height !== meta.height) this.resize();
  }

  private describe(items: Items, meta: Meta): void {
    const alarms = alarmed(items);
    this.overlay.describe(items, meta, alarms.warned);
    this.overlay.setOther(this.scene?.omitted ?? "");
    this.announcer.scene(items, meta, alarms);
  }

  private arrive(before: Meta | null, meta: Meta): void {
    const deeper = before !== null && meta.path.length > before.path.length;
    this.setPending(null);
    this.marks.hovered = -1;
    this.overlay.hideTip();
    this.scene?.camera.fly(deeper ? 1.45 : 0.72, performance.now(), this.still || before === null);
  }

  private remark(): number {
    const { items, meta, scene } = this;
    if (!items || !meta || !scene) return 0;
    const find = (id: string | null) => (id === null ? -1 : items.id.indexOf(id));
    const hovered = this.marks.hovered < items.count ? this.marks.hovered : -1;
    this.marks = { hovered, selected: find(this.selectedId), pending: find(this.pendingId) };
    this.corner.show(items, meta, this.marks.selected);
    this.list.show(items, meta, this.marks.selected);
    return scene.mark(this.marks);
  }

  private pickAt(x: number, y: number, reach: number): number {
    return this.scene?.pickAt(x, y, reach) ?? -1;
  }

  private hover(i: number): void {
    if (i === this.marks.hovered) return;
    this.marks.hovered = i;
    this.overlay.canvas.classList.toggle("over", i >= 0);
    this.remark();
    this.redraw();
  }

  private choose(i: number): void {
    const { items, meta } = this;
    const id = i < 0 || !items ? null : items.id.at(i);
    if (id === this.selectedId) return;
    this.select(id);
    if (items && meta) this.announcer.item(items, i, meta, this.below(i).map(spokenEnds));
    this.events.selected(id);
  }

  private walk(by: number): void {
    const row = this.scene?.siblings(this.marks.selected) ?? [];
    if (row.length === 0) return;
    const at = row.indexOf(this.marks.selected);
    const from = at < 0 && by < 0 ? 0 : at;
    this.choose(row[(from + by + row.length) % row.length]);
  }

  private edge(last: boolean): void {
    const row = this.scene?.siblings(this.marks.selected) ?? [];
    if (row.length > 0) this.choose(row[last ? row.length - 1 : 0]);
  }

  private escape(): void {
    if (this.help.open) this.help.toggle(false);
    else if (this.list.open) this.list.toggle(false);
    else this.choose(-1);
  }

  private drill(i: number): void {
    const { items, meta } = this;
    if (!items || !meta || i < 0 || this.pendingId !== null) return;
    if (!items.canDrill[i]) {
      this.overlay.toast(meta.no_drill_reason);
      return;
    }
    this.setPending(items.id.at(i));
    this.remark();
    this.redraw();
    this.events.drill(items.id.at(i));
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

  /** Advances what moves; true while there is more to come. */
  step(now: number): boolean {
    return this.scene?.step(now, this.still) ?? false;
  }

  get lively(): boolean {
    return !this.still && (this.scene?.lively === true || this.pendingId !== null);
  }

  private redraw(): void {
    this.loop?.redraw();
  }

  draw(now: number): void {
    const { scene } = this;
    if (!scene?.layout || !this.drawsNow || this.vr?.running || scene.camera.width <= 1) return;
    const started = performance.now();
    scene.render(now / 1000, this.still);
    if (scene.stage.shaderError) {
      this.fail(scene.stage.shaderError);
      return;
    }
    if (scene.write(() => this.overlay.taken())) this.note(scene);
    this.ready = true;
    this.frames++;
    this.frameMs = performance.now() - started;
  }

  private note(scene: Scene3d): void {
    const { items, meta } = this;
    if (!items || !meta) return;
    if (meta.show_labels) this.overlay.setNote(scene.labels.shown, items.count);
    const spot = scene.spot(this.marks.hovered);
    if (spot) this.overlay.showTip(items, this.marks.hovered, spot, meta, this.below(this.marks.hovered));
    else this.overlay.hideTip();
  }
}
