export const enum Flow { Idle = 0, Charging = 1, Discharging = 2, Unknown = 3 }
export const enum Alarm { None = 0, Info = 1, Warning = 2, Trip = 3 }

/** One view's children, a column each. Power is positive while discharging; NaN is not known. */
export interface Items {
  count: number;
  id: readonly string[];
  name: readonly string[];
  capacityKwh: Float32Array;
  powerKw: Float32Array;
  socPct: Float32Array;
  state: Uint8Array;
  alarm: Uint8Array;
  alarmCount: Uint16Array;
  ageS: Float32Array;
  stale: Uint8Array;
  canDrill: Uint8Array;
}

export interface Parent {
  id: string;
  name: string;
  power_kw: number | null;
  depth: number;
}

/** What Python (or the standalone page) says about the view. */
export interface Meta {
  path: readonly string[];
  parent: Parent;
  level: string;
  no_drill_reason: string;
  selected: string | null;
  select_seq: number;
  palette: "safe" | "seed";
  theme: "dark" | "light";
  label_cap: number;
  show_labels: boolean;
  sign: "discharge" | "charge";
  reduced_motion: boolean | null;
  height?: number;
}

export interface ViewerEvents {
  selected(id: string | null): void;
  drill(id: string): void;
  up(): void;
  failed(reason: string): void;
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
