import type { Pose } from "./camera";
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
  cameraState(): Pose | null;
  /** Size of the picture that an export would save. */
  picture(scale: number): { w: number; h: number; inked: number } | null;
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

/** Size of a picture, and how many of its pixels differ from its corner. */
function sizeOf(paper: HTMLCanvasElement | null): { w: number; h: number; inked: number } | null {
  if (!paper) return null;
  const all = paper.getContext("2d")?.getImageData(0, 0, paper.width, paper.height).data ?? [];
  let inked = 0;
  for (let i = 0; i < all.length; i += 4) {
    if ([0, 1, 2].some((k) => Math.abs(all[i + k] - all[k + 4 * 40]) > 6)) inked++;
  }
  return { w: paper.width, h: paper.height, inked };
}

function hookOf(viewer: Viewer): Hook {
  return {
    version: VERSION,
    get ready() { return viewer.ready; },
    get path() { return viewer.path; },
    get ids() { return viewer.ids; },
    get selected() { return viewer.selected; },
    get drawCalls() { return viewer.scene?.stage.drawCalls ?? 0; },
    get triangles() { return viewer.scene?.stage.triangles ?? 0; },
    get lastUpdateBytes() { return viewer.lastUpdateBytes; },
    get frameMs() { return viewer.frameMs; },
    get updateMs() { return viewer.updateMs; },
    get frames() { return viewer.frames; },
    get resting() { return viewer.scene?.resting ?? true; },
    drawsNow: () => viewer.drawsNow,
    screenOf: (id) => viewer.screenOf(id),
    pick: (x, y) => viewer.pickClient(x, y),
    labels: () => viewer.scene?.labels.rects.map((r) => ({ ...r })) ?? [],
    pixelStats: () => viewer.inked(),
    cameraState: () => viewer.scene?.camera.state() ?? null,
    picture: (scale) => sizeOf(viewer.picture(scale)),
    loseContext: () => viewer.scene?.stage.loseContext(),
    restoreContext: () => viewer.scene?.stage.restoreContext(),
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
