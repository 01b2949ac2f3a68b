/** What is seen of an axis, from and to; of time as milliseconds since 1970. */
export type Range = [number, number];

/** A chart that follows what a person does in another one. */
export interface Bound {
  zoomed(): void;
  /** Another chart is pointed at, at the bond's moment, or no longer. */
  pointed(): void;
}

const bonds = new Map<string, Bond>();

/** Charts that share one zoom and the moment that is pointed at; a chart alone has its own. */
export class Bond {
  zoom: Range | null = null;
  moment: number | null = null;
  private readonly members = new Set<Bound>();
  private pointer: Bound | null = null;

  private constructor(private readonly name: string) {}

  /** The bond that `name` stands for; an empty name is nobody else's. It ends with its last. */
  static of(name: string): Bond {
    if (!name) return new Bond("");
    const bond = bonds.get(name) ?? new Bond(name);
    bonds.set(name, bond);
    return bond;
  }

  join(member: Bound): void {
    this.members.add(member);
  }

  leave(member: Bound): void {
    if (this.pointer === member) this.point(null, member);
    this.members.delete(member);
    if (this.members.size === 0 && bonds.get(this.name) === this) bonds.delete(this.name);
  }

  /** `by` sees this range already, unless it is null. */
  show(range: Range | null, by: Bound): void {
    this.zoom = range;
    for (const member of this.members) {
      if (member !== by || range === null) member.zoomed();
    }
  }

  /** Only who pointed can end it: another chart may have begun meanwhile. */
  point(time: number | null, by: Bound): void {
    if (time === null && this.pointer !== by) return;
    this.pointer = time === null ? null : by;
    this.moment = time;
    for (const member of this.members) if (member !== by) member.pointed();
  }
}
