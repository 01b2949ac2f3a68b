import { PlainTexts, type Texts, Utf8Texts } from "./texts";
import type { Extremes, Items, Trails } from "./types";

interface ArrowVector {
  toArray(): ArrayLike<unknown>;
  data?: readonly { values?: unknown; valueOffsets?: unknown; offset?: number }[];
}

/** The part of an Arrow table that the page hands over. */
export interface ArrowTable {
  numRows: number;
  getChild(name: string): ArrowVector | null;
}

function vector(table: ArrowTable, name: string): ArrowVector {
  const found = table.getChild(name);
  if (!found) throw new Error(`column ${name} is missing`);
  return found;
}

/** Arrow's own block of bytes where it is one block, else every text decoded. */
function texts(table: ArrowTable, name: string): Texts {
  const found = vector(table, name);
  const [block, ...more] = found.data ?? [];
  const { values, valueOffsets, offset } = block ?? {};
  const whole = values instanceof Uint8Array && valueOffsets instanceof Int32Array && !offset && more.length === 0;
  if (whole && valueOffsets[0] === 0 && valueOffsets.length > table.numRows) {
    return new Utf8Texts(values, valueOffsets.subarray(0, table.numRows + 1));
  }
  return new PlainTexts(Array.from(found.toArray(), String));
}

interface Numbers<T> {
  new (length: number): T & { fill(value: number): T };
  from(values: ArrayLike<number>): T;
}

/** A column of numbers; `missing` fills a column that is not there, if that is allowed. */
function numbers<T extends object>(kind: Numbers<T>, table: ArrowTable, name: string, missing?: number): T {
  if (missing !== undefined && !table.getChild(name)) return new kind(table.numRows).fill(missing);
  const found = vector(table, name).toArray();
  return found instanceof (kind as unknown as new () => T) ? found : kind.from(found as ArrayLike<number>);
}

export function readItems(table: ArrowTable): Items {
  return {
    count: table.numRows,
    id: texts(table, "id"),
    name: texts(table, "name"),
    capacityKwh: numbers(Float32Array, table, "capacity_kwh"),
    powerKw: numbers(Float32Array, table, "power_kw"),
    socPct: numbers(Float32Array, table, "soc_pct"),
    state: numbers(Uint8Array, table, "state"),
    alarm: numbers(Uint8Array, table, "alarm"),
    alarmCount: numbers(Uint16Array, table, "alarm_count"),
    ageS: numbers(Float32Array, table, "age_s"),
    stale: numbers(Uint8Array, table, "stale"),
    canDrill: numbers(Uint8Array, table, "can_drill"),
    parentRow: numbers(Int32Array, table, "parent_row", -1),
    tier: numbers(Uint8Array, table, "tier", 1),
    value: numbers(Float32Array, table, "value", Number.NaN),
    dim: numbers(Uint8Array, table, "dim", 0),
    freshAlarm: numbers(Uint8Array, table, "fresh_alarm", 0),
    group: numbers(Uint16Array, table, "group", 0),
  };
}

export function readTrails(table: ArrowTable): Trails {
  return {
    count: table.numRows,
    row: numbers(Int32Array, table, "row"),
    ageS: numbers(Float32Array, table, "age_s"),
    value: numbers(Float32Array, table, "value"),
  };
}

export function readExtremes(table: ArrowTable): Extremes {
  return {
    count: table.numRows,
    row: numbers(Int32Array, table, "row"),
    kind: numbers(Uint8Array, table, "kind"),
    low: numbers(Float32Array, table, "low"),
    high: numbers(Float32Array, table, "high"),
    spread: numbers(Float32Array, table, "spread"),
    lowAt: texts(table, "low_at"),
    highAt: texts(table, "high_at"),
  };
}

/** The columns that a table may lack, for items that are made elsewhere. */
export function flatColumns(count: number): Pick<Items, "parentRow" | "tier" | "value" | "dim" | "freshAlarm" | "group"> {
  return {
    parentRow: new Int32Array(count).fill(-1),
    tier: new Uint8Array(count).fill(1),
    value: new Float32Array(count).fill(Number.NaN),
    dim: new Uint8Array(count),
    freshAlarm: new Uint8Array(count),
    group: new Uint16Array(count),
  };
}
