import type { Part } from "plotly.js-basic-dist-min";

interface Coded { dtype: string; bdata: string }

const SCALARS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array };

/** A moment, wall clock as if it were UTC, as Plotly writes it. A number Plotly takes for the
 * browser's own time zone (its `cleanDate` and `d2c`) and would move once more by its offset. */
export function written(moment: unknown): unknown {
  if (typeof moment !== "number" || !Number.isFinite(moment)) return moment;
  const iso = new Date(moment).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}`;
}

/** Traces of a date axis with their moments written. */
export function traces(data: Part[], layout: Part): Part[] {
  return data.map((trace) => (dated(layout, trace.xaxis) ? { ...trace, x: moments(trace.x) }
    : trace));
}

/** The shapes and notes of a layout, those at a moment with the moment written. */
export function placed(layout: Part): Part {
  const found: Part = {};
  for (const [name, places] of [["shapes", ["x0", "x1"]], ["annotations", ["x"]]] as const) {
    const all = layout[name] as Part[] | undefined;
    if (all) found[name] = all.map((one) => (dated(layout, one.xref) ? moved(one, places) : one));
  }
  return found;
}

/** axis: as a trace or a shape names it, "x2" say; a share of its width is no moment. */
function dated(layout: Part, axis: unknown): boolean {
  const name = String(axis ?? "x").replace(/^x/, "xaxis");
  return (layout[name] as Part | undefined)?.type === "date";
}

function moved(one: Part, places: readonly string[]): Part {
  return { ...one, ...Object.fromEntries(places.map((place) => [place, written(one[place])])) };
}

function moments(told: unknown): unknown {
  const values = (told as Coded | undefined)?.bdata ? decoded(told as Coded) : told;
  return Array.isArray(values) || ArrayBuffer.isView(values)
    ? Array.from(values as ArrayLike<unknown>, written) : values;
}

function decoded({ dtype, bdata }: Coded): ArrayLike<number> {
  const Scalars = SCALARS[dtype as keyof typeof SCALARS];
  const bytes = Uint8Array.from(atob(bdata), (letter) => letter.charCodeAt(0));
  return new Scalars(bytes.buffer);
}
