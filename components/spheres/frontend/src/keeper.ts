/** What a keeper holds: it can change its parent and come to an end. */
export interface Kept {
  moveTo(parent: HTMLElement | ShadowRoot): void;
  dispose(): void;
}

interface Room<T> {
  thing: T;
  parent: HTMLElement | ShadowRoot;
  turn: number;
  timer: number;
}

// On a slow machine Streamlit can take an element away and bring it back at once (two runs of a
// fragment that arrive together). What is drawn waits that long, so that it stays what it was.
const PATIENCE_MS = 2000;

/** One thing for each key of Streamlit, living on over short absences of its parent. */
export class Keeper<T extends Kept> {
  private readonly rooms = new Map<string, Room<T>>();

  /** The thing of `key`, inside `parent`; the second is Streamlit's clean-up for this call. */
  take(key: string, parent: HTMLElement | ShadowRoot, open: () => T): [T, () => void] {
    const room = this.rooms.get(key) ?? { thing: open(), parent, turn: 0, timer: 0 };
    this.rooms.set(key, room);
    clearTimeout(room.timer);
    if (room.parent !== parent) room.thing.moveTo(parent);
    room.parent = parent;
    const turn = ++room.turn;
    return [room.thing, () => this.leave(key, room, turn)];
  }

  /** A call that was overtaken by a later one cleans up too, and must not end what lives. */
  private leave(key: string, room: Room<T>, turn: number): void {
    if (room.turn !== turn) return;
    clearTimeout(room.timer);
    room.timer = window.setTimeout(() => {
      this.rooms.delete(key);
      room.thing.dispose();
    }, PATIENCE_MS);
  }
}
