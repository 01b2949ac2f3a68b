import { button, element } from "./dom";
import { alarmWord, longName } from "./format";
import type { Items, Meta } from "./types";

/** What must not be overlooked: that this is not now, how many match, and the alarm that waits. */
export class Corner {
  readonly root = element("div", "corner");
  private readonly then = element("div", "then");
  private readonly match = element("div", "match");
  private readonly alarm = element("div", "ack");
  private readonly what = element("b", "");
  private readonly act: HTMLButtonElement;
  private readonly why = element("small", "");
  private id = "";

  constructor(acknowledge: (id: string) => void) {
    this.act = button("Acknowledge", () => acknowledge(this.id));
    this.alarm.append(this.what, this.act, this.why);
    for (const part of [this.then, this.match, this.alarm]) part.hidden = true;
    this.root.append(this.then, this.match, this.alarm);
  }

  show(items: Items, meta: Meta, selected: number): void {
    this.put(this.then, meta.past ? `Not live \u00b7 ${meta.past.words}` : "");
    this.put(this.match, meta.match ? `${meta.match.shown} of ${meta.match.of} match the filter` : "");
    this.showAlarm(items, meta, selected);
  }

  private put(part: HTMLElement, text: string): void {
    part.hidden = text === "";
    if (part.textContent !== text) part.textContent = text;
  }

  private showAlarm(items: Items, meta: Meta, i: number): void {
    this.alarm.hidden = i < 0 || items.alarm[i] === 0;
    if (this.alarm.hidden) return;
    this.id = items.id.at(i);
    const fresh = items.freshAlarm[i] === 1;
    this.put(this.what, `${longName(items, i)}: ${alarmWord(items.alarm[i], items.alarmCount[i])}`);
    this.act.textContent = fresh ? "Acknowledge" : "Acknowledged";
    this.act.disabled = !fresh || !meta.can_acknowledge;
    const reason = meta.acknowledge_reason || "You may not acknowledge alarms here";
    this.put(this.why, fresh && !meta.can_acknowledge ? reason : "");
  }
}
