import { type ArrowTable, readExtremes, readItems, readTrails } from "./arrow";
import { register } from "./hook";
import { type Kept, Keeper } from "./keeper";
import { HOLDER, type Snapshot, extremesOf, itemsOf, trailsOf } from "./snapshot";
import type { Told } from "./types";
import { Viewer } from "./viewer";
import { pickRay } from "./xr";

interface Host {
  data: { meta: Told & { key: string }; items: ArrowTable; trails?: ArrowTable; extremes?: ArrowTable };
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
      acknowledge: (id) => this.host.setTriggerValue("acknowledge", id),
      playback: () => this.host.setTriggerValue("playback", "toggle"),
    }, { source: import.meta.url });
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
  const { meta, items, trails, extremes } = host.data;
  const [entry, leave] = viewers.take(meta.key, host.parentElement, () => new Mounted(host));
  entry.host = host;
  entry.viewer.update(readItems(items), meta, trails ? readTrails(trails) : null,
    extremes ? readExtremes(extremes) : null);
  return leave;
}

/** In a saved page this file finds what to show beside it. */
function openSnapshot(holder: HTMLElement): void {
  const snapshot = JSON.parse(holder.textContent ?? "") as Snapshot;
  const quiet = () => undefined;
  const host = document.getElementById("scene") as HTMLElement;
  const viewer = new Viewer(host, { selected: quiet, drill: quiet, up: quiet, failed: quiet });
  register(viewer);
  viewer.update(itemsOf(snapshot), snapshot.meta, trailsOf(snapshot), extremesOf(snapshot));
}

const holder = document.getElementById(HOLDER);
if (holder) openSnapshot(holder);

export { Viewer, pickRay, readExtremes, readItems, readTrails, register };
