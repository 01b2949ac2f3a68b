import { type alarmed, spoken } from "./format";
import type { Items, Meta } from "./types";

type Alarms = ReturnType<typeof alarmed>;

/** Changes closer together than this are told as the last of them. */
const QUIET_MS = 2500;

/** Says what changed, and nothing while only numbers move. */
export class Announcer {
  private heard = "";
  private timer = 0;
  private next = "";
  private last = -QUIET_MS;

  constructor(private readonly say: (text: string) => void) {}

  /** A summary of the scene; said when its words differ from the last one. */
  scene(items: Items, meta: Meta, alarms: Alarms): void {
    const now = this.summary(items, meta, alarms);
    if (now === this.heard) return;
    const first = this.heard === "";
    this.heard = now;
    if (!first) this.later(now);
  }

  /** more: what there is to say besides. */
  item(items: Items, i: number, meta: Meta, more: readonly string[]): void {
    this.later(i < 0 ? "nothing selected" : [spoken(items, i, meta), ...more].join(", "), 0);
  }

  quit(): void {
    clearTimeout(this.timer);
  }

  private summary(items: Items, meta: Meta, { warned, tripped }: Alarms): string {
    const words = [`${meta.parent.name}: ${items.count} ${meta.level}`];
    if (warned) words.push(`${tripped} tripped, ${warned - tripped} with warnings`);
    if (meta.match) words.push(`${meta.match.shown} of ${meta.match.of} match the filter`);
    words.push(meta.past ? "not live" : "live");
    return words.join(", ");
  }

  private later(text: string, wait = Math.max(0, this.last + QUIET_MS - performance.now())): void {
    this.next = text;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.last = performance.now();
      this.say(this.next);
    }, wait);
  }
}
