import type { Texts } from "./texts";

export const enum Flow { Idle = 0, Charging = 1, Discharging = 2, Unknown = 3 }
export const enum Alarm { None = 0, Info = 1, Warning = 2, Trip = 3 }

/** What is below one place, a column each. Power is positive while discharging; NaN is not known. */
export interface Items {
  count: number;
  id: Texts;
  name: Texts;
  capacityKwh: Float32Array;
  powerKw: Float32Array;
  socPct: Float32Array;
  state: Uint8Array;
  alarm: Uint8Array;
  alarmCount: Uint16Array;
  ageS: Float32Array;
  stale: Uint8Array;
  canDrill: Uint8Array;
  /** Row of the shown parent; -1 is the place itself. */
  parentRow: Int32Array;
  /** 1 is a child of the place, 2 a grandchild. Rows are sorted by it. */
  tier: Uint8Array;
  /** The coloured quantity. */
  value: Float32Array;
  /** 1 does not pass the filter. */
  dim: Uint8Array;
  /** 1 has an alarm at or below it that nobody acknowledged. */
  freshAlarm: Uint8Array;
  /** Index into the groups' names. */
  group: Uint16Array;
}

/** What rows were, `ageS` ago; points of one row stand together or not, in any order. */
export interface Trails {
  count: number;
  row: Int32Array;
  ageS: Float32Array;
  value: Float32Array;
}

/** What is lowest and highest below rows, sorted by row; `spread` is NaN where they cannot be compared. */
export interface Extremes {
  count: number;
  row: Int32Array;
  /** Index into the readings of the meta. */
  kind: Uint8Array;
  low: Float32Array;
  high: Float32Array;
  spread: Float32Array;
  lowAt: Texts;
  highAt: Texts;
}

/** How one kind of extremes is called and written. */
export interface Reading {
  label: string;
  unit: string;
  decimals: number;
  spread_unit: string;
  spread_decimals: number;
}

export interface Parent {
  id: string;
  name: string;
  power_kw: number | null;
  depth: number;
}

export interface Colour {
  by: string;
  label: string;
  unit: string;
  kind: "flow" | "sequential" | "diverging" | "alarm";
  low: number | null;
  high: number | null;
  decimals: number;
  fixed?: boolean;
}

export type LayoutName = "auto" | "ring" | "disc" | "wall" | "shell" | "orbits";

/** What Python (or the standalone page) says about the view. */
export interface Meta {
  path: readonly string[];
  parent: Parent;
  level: string;
  no_drill_reason: string;
  selected: string | null;
  select_seq: number;
  palette: "safe" | "seed" | "grey";
  theme: "dark" | "light";
  label_cap: number;
  show_labels: boolean;
  sign: "discharge" | "charge";
  reduced_motion: boolean | null;
  height?: number;
  colour: Colour;
  layout: LayoutName;
  groups: readonly string[];
  past: { time: string; words: string } | null;
  can_acknowledge: boolean;
  acknowledge_reason: string;
  match: { shown: number; of: number } | null;
  fly_to: string | null;
  fly_seq: number;
  readings: readonly Reading[];
}

type Later = "colour" | "layout" | "groups" | "past" | "can_acknowledge" | "acknowledge_reason" | "match"
  | "fly_to" | "fly_seq" | "readings";

/** A meta whose newer parts may be missing. */
export type Told = Omit<Meta, Later> & Partial<Pick<Meta, Later>>;

const PLAIN: Pick<Meta, Later> = {
  colour: { by: "state", label: "Power flow", unit: "", kind: "flow", low: null, high: null, decimals: 0 },
  layout: "auto", groups: [], past: null, can_acknowledge: false, acknowledge_reason: "", match: null,
  fly_to: null, fly_seq: 0, readings: [],
};

export function complete(told: Told): Meta {
  return { ...PLAIN, ...told };
}

export interface ViewerEvents {
  selected(id: string | null): void;
  drill(id: string): void;
  up(): void;
  failed(reason: string): void;
  acknowledge?(id: string): void;
  playback?(): void;
}

/** Which items are marked; -1 is none. */
export interface Marks {
  selected: number;
  hovered: number;
  pending: number;
}

/** A sphere on the screen: centre and radius in CSS pixels of the canvas, and its distance. */
export interface Spot {
  x: number;
  y: number;
  r: number;
  depth: number;
}

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}
