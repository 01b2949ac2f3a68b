import { type Entry, type Mark, entries, isScale, range } from "./legend";
import type { Tokens } from "./palette";
import type { Meta } from "./types";

const FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif';
const EDGE = 12;
const GAP = 16;

type Pen = CanvasRenderingContext2D;

function write(g: Pen, text: string, x: number, y: number, fill: string, halo: string, weight = 400): number {
  g.font = `${weight} 13px ${FONT}`;
  g.lineWidth = 3.5;
  g.lineJoin = "round";
  g.strokeStyle = halo;
  g.strokeText(text, x, y);
  g.fillStyle = fill;
  g.fillText(text, x, y);
  return g.measureText(text).width;
}

function disc(g: Pen, x: number, y: number, r: number): void {
  g.beginPath();
  g.arc(x, y, r, 0, 2 * Math.PI);
}

function hatch(g: Pen, x: number, y: number, t: Tokens): void {
  g.save();
  disc(g, x, y, 6.5);
  g.fillStyle = t.mid;
  g.fill();
  g.clip();
  g.strokeStyle = t.shade;
  g.lineWidth = 2.5;
  for (let k = -12; k <= 12; k += 6) {
    g.beginPath();
    g.moveTo(x + k - 8, y + 8);
    g.lineTo(x + k + 8, y - 8);
    g.stroke();
  }
  g.restore();
}

const ROUND: ReadonlySet<Mark> = new Set<Mark>(["dot", "ring", "double", "dashed"]);

/** The mark of a legend's entry, its left end at x; returns its width. */
function mark(g: Pen, entry: Entry, x: number, y: number, t: Tokens): number {
  const middle = y - 4;
  if (entry.mark === "hatch") hatch(g, x + 7, middle, t);
  g.strokeStyle = entry.colour;
  g.fillStyle = entry.colour;
  g.lineWidth = entry.mark === "line" || entry.mark === "dashes" ? 3 : 2;
  g.setLineDash(entry.mark === "dashes" ? [4, 3] : entry.mark === "dashed" ? [3, 2] : []);
  if (ROUND.has(entry.mark)) {
    disc(g, x + 7, middle, 6);
    if (entry.mark === "dot") g.fill();
    else g.stroke();
    if (entry.mark === "double") {
      disc(g, x + 7, middle, 2.5);
      g.stroke();
    }
  } else if (entry.mark !== "hatch") {
    g.beginPath();
    g.moveTo(x, middle);
    g.lineTo(x + 18, middle);
    g.stroke();
  }
  g.setLineDash([]);
  return entry.mark === "line" || entry.mark === "dashes" ? 24 : 20;
}

function scale(g: Pen, meta: Meta, t: Tokens, ramp: readonly string[], y: number): number {
  const [low, high, how] = range(meta);
  let x = EDGE + write(g, meta.colour.label, EDGE, y, t.text2, t.bg, 600) + 8;
  x += write(g, low, x, y, t.text3, t.bg) + 8;
  const paint = g.createLinearGradient(x, 0, x + 132, 0);
  ramp.forEach((c, k) => paint.addColorStop(k / (ramp.length - 1), c));
  g.fillStyle = paint;
  g.fillRect(x, y - 9, 132, 9);
  x += 140;
  x += write(g, how ? `${high} (${how})` : high, x, y, t.text3, t.bg) + GAP;
  return x;
}

/** Writes on the picture of a scene what the HTML around it says: where, when, what colours mean. */
export function annotate(g: Pen, width: number, height: number, meta: Meta, t: Tokens, ramp: readonly string[],
  time: string): void {
  g.textAlign = "left";
  g.textBaseline = "alphabetic";
  write(g, meta.parent.name, EDGE, EDGE + 14, t.text, t.bg, 600);
  write(g, meta.past ? `Not live \u00b7 ${meta.past.words}` : time, EDGE, EDGE + 32, t.text2, t.bg, meta.past ? 600 : 400);
  if (meta.match) write(g, `${meta.match.shown} of ${meta.match.of} match the filter`, EDGE, EDGE + 50, t.text2, t.bg);
  let x = EDGE;
  let y = height - EDGE - 2;
  const all = entries(meta, t);
  g.font = `400 13px ${FONT}`;
  const wide = all.reduce((sum, entry) => sum + 24 + g.measureText(entry.text).width + GAP, 0);
  if (wide + (isScale(meta) ? 360 : 0) > width) y -= 20;
  if (isScale(meta)) x = scale(g, meta, t, ramp, y);
  for (const entry of all) {
    g.font = `400 13px ${FONT}`;
    if (x > EDGE && x + 24 + g.measureText(entry.text).width > width - EDGE) [x, y] = [EDGE, y + 20];
    x += mark(g, entry, x, y, t);
    x += write(g, entry.text, x, y, t.text3, t.bg) + GAP;
  }
  if (!meta.past) return;
  g.strokeStyle = t.text3;
  g.lineWidth = 3;
  g.setLineDash([9, 6]);
  g.strokeRect(1.5, 1.5, width - 3, height - 3);
  g.setLineDash([]);
}
