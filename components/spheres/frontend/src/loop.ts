const FRAME_GAP_MS = 50;

/** What a loop draws. */
export interface Drawn {
  /** Whether something moves as long as it is seen. */
  readonly lively: boolean;
  step(now: number): boolean;
  draw(now: number): void;
  resize(): void;
  relabel(): void;
  revive(): void;
}

/** Draws when there is a reason to: at once while things move, seldom while they only flow, not at
 * all out of sight. */
export class Loop {
  /** Whether the WebGL context is lost. */
  lost = false;
  private readonly ends = new AbortController();
  private readonly watchers: { disconnect(): void }[] = [];
  private frame = 0;
  private pause = 0;
  private inView = true;

  constructor(root: HTMLElement, canvas: HTMLCanvasElement, private readonly drawn: Drawn) {
    const options = { signal: this.ends.signal };
    const size = new ResizeObserver(() => drawn.resize());
    size.observe(root);
    const sight = new IntersectionObserver((seen) => {
      this.inView = seen[seen.length - 1].isIntersecting;
      this.redraw();
    });
    sight.observe(root);
    this.watchers.push(size, sight);
    canvas.addEventListener("webglcontextlost", (e) => { e.preventDefault(); this.lost = true; }, options);
    canvas.addEventListener("webglcontextrestored", () => { this.lost = false; drawn.revive(); this.redraw(); }, options);
    document.addEventListener("visibilitychange", () => this.redraw(), options);
    document.fonts.addEventListener("loadingdone", () => { drawn.relabel(); this.redraw(); }, options);
    const quiet = window.matchMedia("(prefers-reduced-motion: reduce)");
    quiet.addEventListener("change", () => this.redraw(), options);
  }

  redraw(): void {
    clearTimeout(this.pause);
    this.pause = 0;
    if (!this.frame) this.frame = requestAnimationFrame((now) => this.tick(now));
  }

  quit(): void {
    this.ends.abort();
    for (const w of this.watchers) w.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.pause);
  }

  private tick(now: number): void {
    this.frame = 0;
    const moving = this.drawn.step(now);
    this.drawn.draw(now);
    if (moving) this.redraw();
    else if (this.inView && !document.hidden && !this.lost && this.drawn.lively) {
      this.pause = window.setTimeout(() => this.redraw(), FRAME_GAP_MS - 8);
    }
  }
}
