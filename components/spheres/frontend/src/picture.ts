import { fileName, moment, save } from "./download";
import { annotate } from "./poster";
import type { Scene3d } from "./scene";
import { page, taken } from "./snapshot";

/** Room that the words at the picture's top and foot need. */
const HEAD = { x: 0, y: 0, w: 300, h: 62 };
const FOOT = 46;

/** The scene with its labels, its legend and its time, at `scale` times its size in CSS pixels. */
export function picture(scene: Scene3d, scale: number): HTMLCanvasElement {
  const shown = scene.shown;
  if (!shown) throw new Error("there is nothing to draw yet");
  const { width, height } = scene.camera;
  const paper = document.createElement("canvas");
  paper.width = Math.round(width * scale);
  paper.height = Math.round(height * scale);
  const g = paper.getContext("2d") as CanvasRenderingContext2D;
  const foot = { x: 0, y: height - FOOT, w: width, h: FOOT };
  scene.enlarged(scale, performance.now() / 1000, [HEAD, foot], (spheres, labels) => {
    g.drawImage(spheres, 0, 0, paper.width, paper.height);
    g.drawImage(labels, 0, 0, paper.width, paper.height);
  });
  g.scale(scale, scale);
  annotate(g, width, height, shown.meta, scene.tokens, scene.ramp, moment(shown.meta).words);
  return paper;
}

export async function savePicture(scene: Scene3d, scale: number): Promise<void> {
  const paper = picture(scene, scale);
  const blob = await new Promise<Blob | null>((done) => paper.toBlob(done, "image/png"));
  if (!blob) throw new Error(`the browser cannot make a picture of ${paper.width} by ${paper.height} pixels`);
  if (scene.shown) save(blob, fileName(scene.shown.meta, "png"));
}

/** Saves a page that shows the scene as it is now, offline. `source`: where the viewer's code is. */
export async function savePage(scene: Scene3d, source: string): Promise<void> {
  const shown = scene.shown;
  if (!shown) throw new Error("there is nothing to save yet");
  const { words } = moment(shown.meta);
  const snapshot = taken(shown, words);
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(`the viewer's code did not come (HTTP ${answer.status})`);
  const text = page(snapshot, await answer.text(), `${shown.meta.parent.name}, ${words}`);
  save(new Blob([text], { type: "text/html" }), fileName(shown.meta, "html"));
}
