import { MOUSE_REACH, TOUCH_REACH } from "./picking";

export interface Gestures {
  drag(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  release(): void;
  zoom(factor: number): void;
  hover(x: number, y: number, reach: number): void;
  leave(): void;
  select(x: number, y: number, reach: number): void;
  drill(x: number, y: number, reach: number): void;
}

const LONG_PRESS_MS = 500;
const WHEEL_STEP = 0.0012;

interface Held {
  x: number;
  y: number;
  /** Where it began. */
  from: { x: number; y: number };
}

/** Turns pointer and wheel events into gestures; one finger orbits, two zoom and move. */
export class Input {
  private readonly held = new Map<number, Held>();
  private readonly quit = new AbortController();
  private moved = 0;
  private spread = 0;
  /** A finger that set out up or down scrolls the page, and does not turn the scene. */
  private scrolls = false;
  private middle: [number, number] = [0, 0];
  private pressTimer = 0;
  private done = false;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly on: Gestures) {
    canvas.style.touchAction = "pan-y";
    const options = { signal: this.quit.signal };
    const eager = { signal: this.quit.signal, passive: false };
    canvas.addEventListener("pointerdown", (e) => this.down(e), options);
    canvas.addEventListener("pointermove", (e) => this.move(e), options);
    window.addEventListener("pointerup", (e) => this.lift(e, true), options);
    window.addEventListener("pointercancel", (e) => this.lift(e, false), options);
    canvas.addEventListener("pointerleave", () => this.on.leave(), options);
    canvas.addEventListener("dblclick", (e) => this.drillAt(e, MOUSE_REACH), options);
    canvas.addEventListener("contextmenu", (e) => this.menu(e), options);
    canvas.addEventListener("focus", () => canvas.classList.toggle("keys", this.held.size === 0), options);
    canvas.addEventListener("keydown", () => canvas.classList.add("keys"), options);
    canvas.addEventListener("wheel", (e) => this.wheel(e), eager);
    canvas.addEventListener("touchstart", (e) => { if (e.touches.length > 1) e.preventDefault(); }, eager);
  }

  dispose(): void {
    clearTimeout(this.pressTimer);
    this.quit.abort();
  }

  /** The event's place in the canvas, in CSS pixels. */
  private at(e: MouseEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  private reach(e: PointerEvent): number {
    return e.pointerType === "touch" ? TOUCH_REACH : MOUSE_REACH;
  }

  private down(e: PointerEvent): void {
    if (e.button !== 0) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.classList.remove("keys");
    this.held.set(e.pointerId, { x: e.clientX, y: e.clientY, from: { x: e.clientX, y: e.clientY } });
    this.spread = this.fingers();
    this.middle = this.centre();
    if (this.held.size > 1) {
      this.done = true;
      clearTimeout(this.pressTimer);
      return;
    }
    this.moved = 0;
    this.done = false;
    const [x, y] = this.at(e);
    const reach = this.reach(e);
    this.pressTimer = window.setTimeout(() => this.press(x, y, reach), LONG_PRESS_MS);
  }

  private press(x: number, y: number, reach: number): void {
    this.done = true;
    this.on.drill(x, y, reach);
  }

  private move(e: PointerEvent): void {
    const held = this.held.get(e.pointerId);
    if (!held) {
      if (e.pointerType !== "touch") this.on.hover(...this.at(e), this.reach(e));
      return;
    }
    const dx = e.clientX - held.x;
    const dy = e.clientY - held.y;
    held.x = e.clientX;
    held.y = e.clientY;
    if (this.held.size > 1) this.pinch();
    else this.orbit(e, held, dx, dy);
  }

  private orbit(e: PointerEvent, { from }: Held, dx: number, dy: number): void {
    const touch = e.pointerType === "touch";
    const began = this.moved >= (touch ? 10 : 5);
    this.moved += Math.hypot(dx, dy);
    if (this.moved < (touch ? 10 : 5)) return;
    clearTimeout(this.pressTimer);
    if (!began) this.scrolls = touch && Math.abs(e.clientY - from.y) > Math.abs(e.clientX - from.x);
    this.done = true;
    if (this.scrolls) return;
    if (!this.canvas.hasPointerCapture(e.pointerId)) this.canvas.setPointerCapture(e.pointerId);
    if (e.shiftKey) this.on.pan(dx, dy);
    else this.on.drag(dx, dy);
  }

  private pinch(): void {
    const now = this.fingers();
    if (now > 0 && this.spread > 0) this.on.zoom(this.spread / now);
    this.spread = now;
    const [x, y] = this.centre();
    this.on.pan(x - this.middle[0], y - this.middle[1]);
    this.middle = [x, y];
  }

  private centre(): [number, number] {
    const all = [...this.held.values()];
    const mean = (read: (held: Held) => number) => all.reduce((sum, held) => sum + read(held), 0) / all.length;
    return [mean((held) => held.x), mean((held) => held.y)];
  }

  private fingers(): number {
    const [a, b] = [...this.held.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  private lift(e: PointerEvent, finished: boolean): void {
    if (!this.held.delete(e.pointerId)) return;
    clearTimeout(this.pressTimer);
    this.on.release();
    if (finished && !this.done) this.on.select(...this.at(e), this.reach(e));
  }

  private menu(e: MouseEvent): void {
    e.preventDefault();
    clearTimeout(this.pressTimer);
    if (this.done && this.held.size > 0) return;
    this.done = true;
    this.drillAt(e, e instanceof PointerEvent && e.pointerType === "touch" ? TOUCH_REACH : MOUSE_REACH);
  }

  private drillAt(e: MouseEvent, reach: number): void {
    e.preventDefault();
    this.on.drill(...this.at(e), reach);
  }

  private wheel(e: WheelEvent): void {
    e.preventDefault();
    const lines = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    const amount = Math.max(-240, Math.min(240, e.deltaY * lines));
    this.on.zoom(Math.exp(amount * WHEEL_STEP));
  }
}
