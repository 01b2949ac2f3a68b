import { type ArrowTable, readItems } from "./arrow";
import { register } from "./hook";
import type { Meta } from "./types";
import { Viewer } from "./viewer";

interface Host {
  data: { meta: Meta; items: ArrowTable };
  parentElement: HTMLElement | ShadowRoot;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

interface Mounted {
  viewer: Viewer;
  host: Host;
  leave: () => void;
}

const mounted = new WeakMap<object, Mounted>();

function mount(host: Host): Mounted {
  const send = () => (mounted.get(host.parentElement) ?? entry).host;
  const viewer = new Viewer(host.parentElement, {
    selected: (id) => send().setStateValue("selected", id),
    drill: (id) => send().setTriggerValue("drill", id),
    up: () => send().setTriggerValue("up", true),
    failed: (reason) => send().setTriggerValue("failed", reason),
  });
  const unregister = register(viewer);
  const leave = () => {
    unregister();
    viewer.dispose();
    mounted.delete(host.parentElement);
  };
  const entry: Mounted = { viewer, host, leave };
  mounted.set(host.parentElement, entry);
  return entry;
}

/** Streamlit calls this on every change of the data; the viewer lives until the clean-up runs. */
export default function spheres(host: Host): () => void {
  const entry = mounted.get(host.parentElement) ?? mount(host);
  entry.host = host;
  entry.viewer.update(readItems(host.data.items), host.data.meta);
  return entry.leave;
}

export { Viewer, readItems, register };
