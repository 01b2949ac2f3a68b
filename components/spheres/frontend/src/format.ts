import { Flow, type Items, type Meta } from "./types";

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

/** Second line of an item's label. */
export function brief(items: Items, i: number, sign: Meta["sign"]): string {
  if (items.stale[i]) return age(items.ageS[i]);
  const soc = items.socPct[i];
  const kw = items.powerKw[i];
  const state = items.state[i];
  if (Number.isNaN(soc) && Number.isNaN(kw)) return "no data";
  if (Number.isNaN(kw) || state === Flow.Unknown) return `${percent(soc)} \u00b7 ${MISSING}`;
  const flow = state === Flow.Idle ? "idle" : arrow(state) + power(kw, sign);
  return Number.isNaN(soc) ? flow : `${percent(soc)} \u00b7 ${flow}`;
}

/** Severity and number of an item's alarms, for its pill. */
export function alarmWord(level: number, count: number): string {
  return count > 1 ? `${count} alarms` : `1 ${["", "info", "warning", "trip"][level] ?? ""}`;
}
