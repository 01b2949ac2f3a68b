import { flatColumns } from "./arrow";
import { PlainTexts } from "./texts";
import type { Shown } from "./scene";
import type { Extremes, Items, Meta, Trails } from "./types";

/** Where a standalone page keeps what it shows. */
export const HOLDER = "orrery-snapshot";
const FLOATS = ["capacityKwh", "powerKw", "socPct", "ageS", "value"] as const;
const ENDS = ["row", "kind", "low", "high", "spread"] as const;
const BYTES = ["state", "alarm", "stale", "canDrill", "tier", "dim", "freshAlarm"] as const;

type Row = (number | null)[];

/** What a standalone page shows, as JSON: a missing number is null. */
export interface Snapshot {
  meta: Meta;
  id: string[];
  name: string[];
  columns: Record<string, Row>;
  trails: Record<"row" | "ageS" | "value", Row> | null;
  extremes: (Record<(typeof ENDS)[number], Row> & Record<"lowAt" | "highAt", string[]>) | null;
}

function row(values: ArrayLike<number>): Row {
  return Array.from(values, (v) => (Number.isFinite(v) ? Number(v.toPrecision(7)) : null));
}

export function taken({ items, meta, trails, extremes }: Shown, words: string): Snapshot {
  const names = [...FLOATS, ...BYTES, "alarmCount", "parentRow", "group"] as const;
  const { height: _height, ...rest } = meta;
  return {
    meta: {
      ...rest, past: meta.past ?? { time: words, words: `snapshot of ${words}` }, can_acknowledge: false,
      acknowledge_reason: "This is a snapshot", no_drill_reason: "This is a snapshot: nothing is inside",
    },
    id: items.id.all(),
    name: items.name.all(),
    columns: Object.fromEntries(names.map((name) => [name, row(items[name])])),
    trails: trails && { row: row(trails.row), ageS: row(trails.ageS), value: row(trails.value) },
    extremes: extremes && {
      row: row(extremes.row), kind: row(extremes.kind), low: row(extremes.low), high: row(extremes.high),
      spread: row(extremes.spread), lowAt: extremes.lowAt.all(), highAt: extremes.highAt.all(),
    },
  };
}

function floats(values: Row): Float32Array {
  return Float32Array.from(values, (v) => v ?? Number.NaN);
}

function whole(values: Row): number[] {
  return values.map((v) => v ?? 0);
}

export function itemsOf({ id, name, columns }: Snapshot): Items {
  const read = Object.fromEntries([
    ...FLOATS.map((key) => [key, floats(columns[key])]),
    ...BYTES.map((key) => [key, Uint8Array.from(whole(columns[key]))]),
  ]) as Record<(typeof FLOATS)[number], Float32Array> & Record<(typeof BYTES)[number], Uint8Array>;
  return {
    ...flatColumns(id.length), ...read, count: id.length, id: new PlainTexts(id), name: new PlainTexts(name),
    canDrill: new Uint8Array(id.length),
    alarmCount: Uint16Array.from(whole(columns.alarmCount)),
    parentRow: Int32Array.from(whole(columns.parentRow)),
    group: Uint16Array.from(whole(columns.group)),
  };
}

export function trailsOf({ trails }: Snapshot): Trails | null {
  if (!trails) return null;
  return {
    count: trails.row.length, row: Int32Array.from(whole(trails.row)), ageS: floats(trails.ageS),
    value: floats(trails.value),
  };
}

export function extremesOf({ extremes }: Snapshot): Extremes | null {
  if (!extremes) return null;
  return {
    count: extremes.row.length, row: Int32Array.from(whole(extremes.row)), kind: Uint8Array.from(whole(extremes.kind)),
    low: floats(extremes.low), high: floats(extremes.high), spread: floats(extremes.spread),
    lowAt: new PlainTexts(extremes.lowAt), highAt: new PlainTexts(extremes.highAt),
  };
}

function html(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Code inside a script element: what would end it, or begin a comment in it, is written otherwise. */
function script(code: string): string {
  return code.replace(/<\/script/gi, "<\\/script").replace(/<!--/g, "<\\!--");
}

/** A page that shows the snapshot with this code and asks no network for anything. */
export function page(snapshot: Snapshot, code: string, title: string): string {
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:";
  const json = JSON.stringify(snapshot).replace(/</g, "\\u003c").replace(/\u2028|\u2029/g, " ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${html(title)}</title>
<link rel="icon" href="data:,">
<style>html{color-scheme:${snapshot.meta.theme}}body{margin:0;height:100dvh;overflow:hidden}#scene{height:100%}</style>
</head>
<body>
<main id="scene"></main>
<script type="application/json" id="${HOLDER}">${json}</script>
<script type="module">${script(code)}</script>
</body>
</html>
`;
}
