import type { Meta } from "./types";

export type Rgb = [number, number, number];

/** Colours of one theme, as CSS strings. */
export interface Tokens {
  bg: string;
  raised: string;
  border: string;
  text: string;
  text2: string;
  text3: string;
  text4: string;
  focus: string;
  alarm: string;
  alarmFill: string;
  info: string;
  orbit: string;
  track: string;
  arc: string;
  lit: string;
  mid: string;
  shade: string;
  glow: string;
  idle: string;
  charge: readonly [string, string];
  discharge: readonly [string, string];
  depths: readonly string[];
}

type Base = Omit<Tokens, "charge" | "discharge">;
type Flows = Pick<Tokens, "charge" | "discharge">;

const DARK: Base = {
  bg: "#12161b", raised: "#20262e", border: "#2b323c", text: "#f3f5f7", text2: "#c2cad3",
  text3: "#94a0ad", text4: "#7f8b98", focus: "#f3f5f7", alarm: "#f0564f", alarmFill: "#d3302a",
  info: "#94a0ad", orbit: "#3c4653", track: "#2e3742", arc: "#d3dae1", lit: "#b9c6d3",
  mid: "#5a6a7a", shade: "#1d252e", glow: "#ffd35a", idle: "#7f8b98",
  depths: ["#dcb84a", "#45b3bd", "#5589d6", "#8b6fd0", "#c561ae"],
};

const LIGHT: Base = {
  bg: "#fcfdfd", raised: "#ffffff", border: "#d5dae1", text: "#14181d", text2: "#3a434e",
  text3: "#59636f", text4: "#656f7b", focus: "#14181d", alarm: "#b3201c", alarmFill: "#b3201c",
  info: "#59636f", orbit: "#c3cad3", track: "#d5dbe2", arc: "#3a434e", lit: "#f7f9fb",
  mid: "#bcc6d0", shade: "#7a8693", glow: "#e0a800", idle: "#7c8794",
  depths: ["#e2b93b", "#4fb9c3", "#6294dc", "#9479d6", "#cb6bb5"],
};

const FLOWS: Record<Meta["palette"], Record<Meta["theme"], Flows>> = {
  safe: {
    dark: { charge: ["#56b4e9", "#56b4e9"], discharge: ["#e69f00", "#e69f00"] },
    light: { charge: ["#0072b2", "#0072b2"], discharge: ["#bd6814", "#bd6814"] },
  },
  seed: {
    dark: { charge: ["#1f7a2e", "#37f05a"], discharge: ["#8f2020", "#ff4646"] },
    light: { charge: ["#7fb98a", "#0b7a25"], discharge: ["#dd9a9a", "#c01818"] },
  },
  grey: {
    dark: { charge: ["#66717d", "#8b96a2"], discharge: ["#c2cad3", "#ffffff"] },
    light: { charge: ["#9aa4ae", "#7c8794"], discharge: ["#59636f", "#14181d"] },
  },
};

export function tokens(theme: Meta["theme"], palette: Meta["palette"]): Tokens {
  return { ...(theme === "dark" ? DARK : LIGHT), ...FLOWS[palette][theme] };
}

export function rgb(hex: string): Rgb {
  const n = Number.parseInt(hex.slice(1), 16);
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255];
}

/** Colour of the central sphere; past the last depth the cycle starts again. */
export function depthIndex(depth: number): number {
  return Math.max(0, depth) % DARK.depths.length;
}

/** CSS variables for the HTML laid over the scene. */
export function cssVariables(t: Tokens): Record<string, string> {
  return {
    "--bg": t.bg, "--raised": t.raised, "--border": t.border, "--text": t.text, "--text2": t.text2,
    "--text3": t.text3, "--focus": t.focus, "--idle": t.idle, "--charge": t.charge[1],
    "--discharge": t.discharge[1], "--alarm": t.alarm, "--alarm-fill": t.alarmFill, "--orbit": t.orbit,
    "--shade": t.shade, "--mid": t.mid,
  };
}
