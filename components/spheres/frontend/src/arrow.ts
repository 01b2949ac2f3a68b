import type { Items } from "./types";

interface ArrowVector {
  toArray(): ArrayLike<unknown>;
}

/** The part of an Arrow table that the page hands over. */
export interface ArrowTable {
  numRows: number;
  getChild(name: string): ArrowVector | null;
}

function column(table: ArrowTable, name: string): ArrayLike<unknown> {
  const found = table.getChild(name);
  if (!found) throw new Error(`column ${name} is missing`);
  return found.toArray();
}

function texts(table: ArrowTable, name: string): string[] {
  return Array.from(column(table, name), String);
}

function floats(table: ArrowTable, name: string): Float32Array {
  return Float32Array.from(column(table, name) as ArrayLike<number>);
}

function bytes(table: ArrowTable, name: string): Uint8Array {
  return Uint8Array.from(column(table, name) as ArrayLike<number>);
}

export function readItems(table: ArrowTable): Items {
  return {
    count: table.numRows,
    id: texts(table, "id"),
    name: texts(table, "name"),
    capacityKwh: floats(table, "capacity_kwh"),
    powerKw: floats(table, "power_kw"),
    socPct: floats(table, "soc_pct"),
    state: bytes(table, "state"),
    alarm: bytes(table, "alarm"),
    alarmCount: Uint16Array.from(column(table, "alarm_count") as ArrayLike<number>),
    ageS: floats(table, "age_s"),
    stale: bytes(table, "stale"),
    canDrill: bytes(table, "can_drill"),
  };
}
