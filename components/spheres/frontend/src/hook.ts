import { VERSION, Viewer } from "./viewer";

/** What tests and support can see of a live viewer. */
export interface Hook {
  readonly version: string;
  readonly ready: boolean;
  readonly path: readonly string[];
  readonly ids: readonly string[];
  readonly selected: string | null;
  readonly drawCalls: number;
  readonly triangles: number;
  readonly lastUpdateBytes: number;
  readonly frameMs: number;
  readonly updateMs: number;
  readonly frames: number;
  readonly resting: boolean;
  screenOf(id: string): { x: number; y: number; r: number } | null;
  pick(x: number, y: number): string | null;
  labels(): { x: number; y: number; w: number; h: number }[];
  pixelStats(): number;
  cameraState(): { azimuth: number; elevation: number; zoom: number };
  /** False while the WebGL context is lost. */
  drawsNow(): boolean;
  loseContext(): void;
  restoreContext(): void;
}

declare global {
  interface Window {
    __spheres?: Hook[];
  }
}

function hookOf(viewer: Viewer): Hook {
  return {
    version: VERSION,
    get ready() { return viewer.ready; },
    get path() { return viewer.path; },
    get ids() { return viewer.ids; },
    get selected() { return viewer.selected; },
    get drawCalls() { return viewer.drawCalls; },
    get triangles() { return viewer.triangles; },
    get lastUpdateBytes() { return viewer.lastUpdateBytes; },
    get frameMs() { return viewer.frameMs; },
    get updateMs() { return viewer.updateMs; },
    get frames() { return viewer.frames; },
    get resting() { return viewer.resting; },
    drawsNow: () => viewer.drawsNow,
    screenOf: (id) => viewer.screenOf(id),
    pick: (x, y) => viewer.pickClient(x, y),
    labels: () => viewer.labelRects(),
    pixelStats: () => viewer.inked(),
    cameraState: () => viewer.cameraState(),
    loseContext: () => viewer.loseContext(),
    restoreContext: () => viewer.restoreContext(),
  };
}

/** Adds the viewer to `window.__spheres`; the returned function takes it out. */
export function register(viewer: Viewer): () => void {
  const hook = hookOf(viewer);
  const all = (window.__spheres ??= []);
  all.push(hook);
  return () => {
    const at = all.indexOf(hook);
    if (at >= 0) all.splice(at, 1);
  };
}
