import { type Tokens, rgb } from "./palette";
import type { Colour, Items, Meta } from "./types";

/** Stops of every ramp, dark end first. */
export const STOPS = 10;
/** Bytes of a sphere's tint: 0 plain steel, 1 to 5 the depths, then not known, then the ramp. */
export const TINT_UNKNOWN = 6;
export const TINT_FIRST = 8;
const TINTS = 247;
/** With more items than this, and in deep views, lines are too fine to tell which way power flows. */
const TELLING_LINES = 200;

type Ramp = readonly string[];
type Themed = Record<Meta["theme"], Ramp>;

function ramp(text: string): Ramp {
  return text.split(" ").map((hex) => `#${hex}`);
}

/** Even steps in OKLab; the diverging ones fade into the background in the middle. */
const SEQUENTIAL: Themed = {
  dark: ramp("27313b 30454f 375963 3f6f78 508589 629c9a 74b3ac 94c7be b4dbd0 d3f0e2"),
  light: ramp("dde6e6 c7dbd9 b2cfcd 9cc4c0 82b0ae 689d9c 4d8a8a 3a7174 28595f 16424a"),
};
const HEAT: Themed = {
  dark: ramp("2b2a4a 40385e 564673 6d5488 896689 a67888 c48a86 d5a693 e6c2a1 f7dfae"),
  light: ramp("efe6d2 e8d1bb e0bca5 d8a78f bf8f8d a7778a 8f5f86 6f4d78 503a69 33285a"),
};
const DIVERGING: Themed = {
  dark: ramp("5cb3ef 4d8dbc 3e688c 365068 2f3c4a 3c3b3a 5f4d32 866328 b8862f edab35"),
  light: ramp("0067a5 4989ba 7aabcf a7c6dd d2dfe9 e6dfd6 e1c7a5 d6aa73 bd8246 a35a0c"),
};
const SEED_SEQUENTIAL: Themed = {
  dark: ramp("8f2020 97391f 9b521f 99691f 908022 819122 6ba52c 54b93a 42d54a 37f05a"),
  light: ramp("c01818 bd3a14 b65512 aa6c12 998012 848f14 6b8f19 4d8a1e 2f8322 0b7a25"),
};
const GREYS: Themed = {
  dark: ramp("2b323b 3b434d 4c555f 5e6772 717a85 848d98 99a1ab afb6be c6ccd2 e0e4e8"),
  light: ramp("e3e6ea cdd2d8 b7bdc5 a1a9b2 8c949e 77808b 636c77 505964 3d4651 2b333d"),
};

function valueRamp(colour: Colour, palette: Meta["palette"], theme: Meta["theme"]): Ramp {
  if (palette === "grey") return GREYS[theme];
  if (colour.kind === "diverging") return DIVERGING[theme];
  if (colour.by.startsWith("temperature")) return HEAT[theme];
  return palette === "seed" ? SEED_SEQUENTIAL[theme] : SEQUENTIAL[theme];
}

function mixed(a: string, b: string, share: number): string {
  const [from, to] = [rgb(a), rgb(b)];
  const part = from.map((c, k) => Math.round((c + (to[k] - c) * share) * 255).toString(16).padStart(2, "0"));
  return `#${part.join("")}`;
}

/** Charging to discharging, the idle in the middle. */
function flowRamp(t: Tokens): Ramp {
  return Array.from({ length: STOPS }, (_, k) => {
    const share = (2 * k) / (STOPS - 1) - 1;
    return mixed(t.mid, share < 0 ? t.charge[1] : t.discharge[1], Math.abs(share) ** 0.6);
  });
}

/** Four tiers, each over its share of the stops. */
function alarmRamp(t: Tokens): Ramp {
  const tiers = [t.mid, t.info, mixed(t.alarm, t.bg, 0.4), t.alarmFill];
  return Array.from({ length: STOPS }, (_, k) => tiers[Math.min(3, Math.round((k / (STOPS - 1)) * 3))]);
}

/** The colours that `colour` is drawn with, low end first. */
export function rampOf(meta: Meta, t: Tokens): Ramp {
  if (meta.colour.kind === "flow") return flowRamp(t);
  if (meta.colour.kind === "alarm") return alarmRamp(t);
  return valueRamp(meta.colour, meta.palette, meta.theme);
}

function level(share: number): number {
  return TINT_FIRST + Math.round(Math.min(1, Math.max(0, share)) * TINTS);
}

function valueTints(out: Uint8Array, items: Items, { low, high }: Colour): void {
  const from = low ?? Number.NaN;
  const span = (high ?? Number.NaN) - from;
  const scale = TINTS / (span || 1);
  for (let i = 0; i < items.count; i++) {
    const v = items.value[i];
    const at = span > 0 ? (v - from) * scale : v < from ? 0 : v > from ? TINTS : TINTS / 2;
    out[i] = v !== v || from !== from ? TINT_UNKNOWN : TINT_FIRST + (at < 0 ? 0 : at > TINTS ? TINTS : at + 0.5 | 0);
  }
}

function flowTints(out: Uint8Array, items: Items): void {
  const deep = items.count > 0 && items.tier[items.count - 1] > 1;
  if (!deep && items.count <= TELLING_LINES) {
    out.fill(0);
    return;
  }
  const largest = new Float32Array(256).fill(1e-9);
  for (let i = 0; i < items.count; i++) {
    const kw = Math.abs(items.powerKw[i]);
    if (kw > largest[items.tier[i]]) largest[items.tier[i]] = kw;
  }
  for (let i = 0; i < items.count; i++) {
    const kw = items.powerKw[i];
    out[i] = kw !== kw ? TINT_UNKNOWN : level(0.5 + (0.5 * kw) / largest[items.tier[i]]);
  }
}

/** One byte an item: which colour its sphere has. */
export function tintsOf(items: Items, colour: Colour, out: Uint8Array): void {
  if (colour.kind === "flow") flowTints(out, items);
  else if (colour.kind === "alarm") {
    for (let i = 0; i < items.count; i++) out[i] = level((items.alarm[i] & 3) / 3);
  } else valueTints(out, items, colour);
}
