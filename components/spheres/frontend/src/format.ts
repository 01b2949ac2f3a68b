import { type Colour, Flow, type Items, type Meta } from "./types";

const MINUS = "\u2212";
const MISSING = "\u2013";
const WORDS: Record<number, string> = {
  [Flow.Idle]: "idle",
  [Flow.Charging]: "charging",
  [Flow.Discharging]: "discharging",
  [Flow.Unknown]: "no data",
};

function threeFigures(value: number): string {
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(value, 1e-9))) + 1);
  return value.toFixed(Math.max(0, 3 - whole));
}

function magnitude(kw: number): string {
  const watts = Math.abs(kw) * 1000;
  if (watts < 999.5) return `${Math.round(watts)} W`;
  if (watts < 999_500) return `${threeFigures(watts / 1000)} kW`;
  return `${threeFigures(watts / 1_000_000)} MW`;
}

/** Power as text; `sign` says which direction counts as positive. */
export function power(kw: number, sign: Meta["sign"]): string {
  if (Number.isNaN(kw)) return MISSING;
  const shown = sign === "charge" ? -kw : kw;
  const text = magnitude(kw);
  return shown < 0 && text !== "0 W" ? MINUS + text : text;
}

export function percent(soc: number): string {
  return Number.isNaN(soc) ? `${MISSING} %` : `${Math.round(soc)} %`;
}

export function energy(kwh: number): string {
  if (Number.isNaN(kwh)) return MISSING;
  return kwh < 1 ? `${Math.round(kwh * 1000)} Wh` : `${threeFigures(kwh)} kWh`;
}

export function age(seconds: number): string {
  if (Number.isNaN(seconds)) return "old";
  if (seconds < 90) return `${Math.round(seconds)} s old`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min old`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h old`;
  return `${Math.round(seconds / 86_400)} d old`;
}

export function word(state: number): string {
  return WORDS[state] ?? WORDS[Flow.Unknown];
}

export function arrow(state: number): string {
  if (state === Flow.Discharging) return "\u2191 ";
  return state === Flow.Charging ? "\u2193 " : "";
}

/** Arrow, number and word for one item's power. */
export function powerPhrase(kw: number, state: number, sign: Meta["sign"]): string {
  if (Number.isNaN(kw) || state === Flow.Unknown) return "power not known";
  return state === Flow.Idle ? `idle, ${power(kw, sign)}` : `${arrow(state)}${power(kw, sign)} ${word(state)}`;
}

/** The coloured quantity with its unit; a deviation always tells its sign. */
export function coloured(value: number, { kind, unit, decimals }: Pick<Colour, "kind" | "unit" | "decimals">): string {
  if (!Number.isFinite(value)) return `${MISSING} ${unit}`.trim();
  const digits = Math.abs(value).toFixed(decimals);
  const zero = Number(digits) === 0;
  const sign = value < 0 && !zero ? MINUS : kind === "diverging" && !zero ? "+" : "";
  return `${sign}${digits} ${unit}`.trim();
}

/** Whether items are coloured by a quantity of their own. */
export function hasValue({ kind, by }: Colour): boolean {
  return (kind === "sequential" || kind === "diverging") && by !== "soc_pct";
}

/** Second line of an item's label. */
export function brief(items: Items, i: number, { sign, colour }: Pick<Meta, "sign" | "colour">): string {
  if (items.stale[i]) return age(items.ageS[i]);
  const soc = items.socPct[i];
  const kw = items.powerKw[i];
  const state = items.state[i];
  if (hasValue(colour)) return `${coloured(items.value[i], colour)} \u00b7 ${percent(soc)}`;
  if (Number.isNaN(soc) && Number.isNaN(kw)) return "no data";
  if (Number.isNaN(kw) || state === Flow.Unknown) return `${percent(soc)} \u00b7 ${MISSING}`;
  const flow = state === Flow.Idle ? "idle" : arrow(state) + power(kw, sign);
  return Number.isNaN(soc) ? flow : `${percent(soc)} \u00b7 ${flow}`;
}

/** Name of an item with those above it, as far as they are shown: "System 0 \u00b7 Cluster 1". */
export function longName(items: Items, row: number): string {
  const parent = items.parentRow[row];
  const own = items.name.at(row);
  return parent >= 0 && parent < row ? `${longName(items, parent)} \u00b7 ${own}` : own;
}

/** All of one item in a sentence, for the list and for who listens. */
export function spoken(items: Items, i: number, meta: Meta): string {
  const words = [longName(items, i), `state of charge ${percent(items.socPct[i])}`,
    powerPhrase(items.powerKw[i], items.state[i], meta.sign)];
  if (hasValue(meta.colour)) words.push(`${meta.colour.label.toLowerCase()} ${coloured(items.value[i], meta.colour)}`);
  if (items.alarm[i]) words.push(alarmWord(items.alarm[i], items.alarmCount[i]));
  if (items.stale[i]) words.push(age(items.ageS[i]));
  return words.join(", ");
}

/** Severity and number of an item's alarms, for its pill. */
export function alarmWord(level: number, count: number): string {
  return count > 1 ? `${count} alarms` : `1 ${["", "info", "warning", "trip"][level] ?? ""}`;
}

/** How many items have a warning or a trip, and how many of them a trip. */
export function alarmed({ alarm }: Items): { warned: number; tripped: number } {
  let [warned, tripped] = [0, 0];
  for (let i = 0; i < alarm.length; i++) {
    if (alarm[i] >= 2) warned++;
    if (alarm[i] >= 3) tripped++;
  }
  return { warned, tripped };
}
