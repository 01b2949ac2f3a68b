import { type ArrowTable, readItems } from "./arrow";
import { register } from "./hook";
import { type Kept, Keeper } from "./keeper";
import type { Meta } from "./types";
import { Viewer } from "./viewer";

interface Host {
  data: { meta: Meta & { key: string }; items: ArrowTable };
  parentElement: HTMLElement | ShadowRoot;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

/** A viewer that tells its events to the host of the latest call. */
class Mounted implements Kept {
  readonly viewer: Viewer;
  private readonly unregister: () => void;

  constructor(public host: Host) {
    this.viewer = new Viewer(host.parentElement, {
      selected: (id) => this.host.setStateValue("selected", id),
      drill: (id) => this.host.setTriggerValue("drill", id),
      up: () => this.host.setTriggerValue("up", true),
      failed: (reason) => this.host.setTriggerValue("failed", reason),
    });
    this.unregister = register(this.viewer);
  }

  moveTo(parent: HTMLElement | ShadowRoot): void {
    this.viewer.moveTo(parent);
  }

  dispose(): void {
    this.unregister();
    this.viewer.dispose();
  }
}

const viewers = new Keeper<Mounted>();

/** Streamlit calls this on every change of the data; the viewer lives on until the clean-up. */
export default function spheres(host: Host): () => void {
  const { meta, items } = host.data;
  const [entry, leave] = viewers.take(meta.key, host.parentElement, () => new Mounted(host));
  entry.host = host;
  entry.viewer.update(readItems(items), meta);
  return leave;
}

export { Viewer, readItems, register };
