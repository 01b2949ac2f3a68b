import { element } from "./dom";
import { coloured } from "./format";
import type { Extremes, Reading } from "./types";

/** What is lowest and highest below an item, in words. */
export interface Ends {
  label: string;
  low: string;
  high: string;
  lowAt: string;
  highAt: string;
  /** Empty where they cannot be compared. */
  spread: string;
}

/** The first line of a row, which the lines are sorted by. */
function firstOf(row: Int32Array, wanted: number): number {
  let [low, high] = [0, row.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function endsBelow(extremes: Extremes | null, item: number, readings: readonly Reading[]): Ends[] {
  const found: Ends[] = [];
  if (!extremes || item < 0) return found;
  for (let k = firstOf(extremes.row, item); k < extremes.count && extremes.row[k] === item; k++) {
    const reading = readings[extremes.kind[k]];
    if (reading) found.push(ends(extremes, k, reading));
  }
  return found;
}

function ends({ low, high, spread, lowAt, highAt }: Extremes, k: number, reading: Reading): Ends {
  const { label, unit, decimals, spread_unit, spread_decimals } = reading;
  const written = (value: number, unit: string, decimals: number) => coloured(value, { kind: "sequential", unit, decimals });
  return {
    label, low: written(low[k], unit, decimals), high: written(high[k], unit, decimals),
    lowAt: lowAt.at(k), highAt: highAt.at(k),
    spread: Number.isFinite(spread[k]) ? written(spread[k], spread_unit, spread_decimals) : "",
  };
}

/** "Voltage 3.266 V (M2 · Cell 9) to 3.312 V (M0 · Cell 3), 46 mV" */
export function spokenEnds({ label, low, high, lowAt, highAt, spread }: Ends): string {
  const words = `${label} ${low} (${lowAt}) to ${high} (${highAt})`;
  return spread ? `${words}, ${spread}` : words;
}

/** A small table: lowest, highest with who has it, and their difference. */
export function endsTable(lines: readonly Ends[]): HTMLElement {
  const table = element("div", "ends");
  for (const title of ["", "Lowest", "Highest", "Spread"]) table.append(element("i", "", title));
  for (const { label, low, high, lowAt, highAt, spread } of lines) {
    table.append(element("span", "", label), end(low, lowAt), end(high, highAt), element("span", "", spread || "\u2013"));
  }
  return table;
}

function end(value: string, at: string): HTMLElement {
  const cell = element("span", "", value);
  cell.append(element("small", "", at));
  return cell;
}
