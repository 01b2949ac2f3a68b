import { flatColumns } from "./arrow";
import { PlainTexts } from "./texts";
import { Flow, type Items, type Told } from "./types";

export interface WireItem {
  id: string;
  name: string;
  capacity: number | null;
  power_flow: number | null;
  soc: number | null;
  mode: string | null;
}

export interface WireView {
  timestamp: string;
  view_path: string[];
  poc: { id: string; name: string; total_power: number | null };
  view: { level: string; parent_id: string | null; items: WireItem[] };
}

export interface WireError {
  type: "error";
  message: string;
}

const MODES: Record<string, Flow> = {
  idle: Flow.Idle, charging: Flow.Charging, discharging: Flow.Discharging,
};
const LAST_LEVEL = "cells";

function floats(items: WireItem[], read: (item: WireItem) => number | null): Float32Array {
  return Float32Array.from(items, (item) => read(item) ?? Number.NaN);
}

export function itemsOf(view: WireView): Items {
  const { items, level } = view.view;
  const count = items.length;
  return {
    ...flatColumns(count),
    count,
    id: new PlainTexts(items.map((item) => item.id)),
    name: new PlainTexts(items.map((item) => item.name)),
    capacityKwh: floats(items, (item) => item.capacity),
    powerKw: floats(items, (item) => item.power_flow),
    socPct: floats(items, (item) => item.soc),
    state: Uint8Array.from(items, (item) => MODES[item.mode ?? ""] ?? Flow.Unknown),
    alarm: new Uint8Array(count),
    alarmCount: new Uint16Array(count),
    ageS: new Float32Array(count),
    stale: new Uint8Array(count),
    canDrill: new Uint8Array(count).fill(level === LAST_LEVEL ? 0 : 1),
  };
}

export function metaOf(view: WireView, parentName: string, dark: boolean): Told {
  return {
    path: view.view_path,
    parent: {
      id: view.view.parent_id ?? view.poc.id,
      name: parentName,
      power_kw: view.poc.total_power,
      depth: view.view_path.length,
    },
    level: view.view.level,
    no_drill_reason: "Cells are the last level",
    selected: null,
    select_seq: 0,
    palette: "safe",
    theme: dark ? "dark" : "light",
    label_cap: 64,
    show_labels: true,
    sign: "discharge",
    reduced_motion: null,
  };
}
