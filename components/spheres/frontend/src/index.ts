import { type ArrowTable, readItems } from "./arrow";
import { register } from "./hook";
import type { Meta } from "./types";
import { Viewer } from "./viewer";

interface Host {
  data: { meta: Meta & { key: string }; items: ArrowTable };
  parentElement: HTMLElement | ShadowRoot;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

interface Mounted {
  viewer: Viewer;
  host: Host;
  unregister: () => void;
}

// On a slow machine Streamlit can take an element away and bring it back at once (two runs of a
// fragment that arrive together). The viewer waits that long, so that camera and picture stay.
const PATIENCE_MS = 2000;

const mounted = new WeakMap<object, Mounted>();
const parked = new Map<string, { entry: Mounted; timer: number }>();

function open(host: Host): Mounted {
  const send = () => entry.host;
  const viewer = new Viewer(host.parentElement, {
    selected: (id) => send().setStateValue("selected", id),
    drill: (id) => send().setTriggerValue("drill", id),
    up: () => send().setTriggerValue("up", true),
    failed: (reason) => send().setTriggerValue("failed", reason),
  });
  const entry: Mounted = { viewer, host, unregister: register(viewer) };
  return entry;
}

function fetchParked(host: Host): Mounted | undefined {
  const waiting = parked.get(host.data.meta.key);
  if (!waiting) return undefined;
  clearTimeout(waiting.timer);
  parked.delete(host.data.meta.key);
  waiting.entry.viewer.moveTo(host.parentElement);
  return waiting.entry;
}

function park(entry: Mounted): void {
  mounted.delete(entry.host.parentElement);
  const { key } = entry.host.data.meta;
  const timer = window.setTimeout(() => {
    parked.delete(key);
    entry.unregister();
    entry.viewer.dispose();
  }, PATIENCE_MS);
  parked.set(key, { entry, timer });
}

/** Streamlit calls this on every change of the data; the viewer lives on until the clean-up. */
export default function spheres(host: Host): () => void {
  const entry = mounted.get(host.parentElement) ?? fetchParked(host) ?? open(host);
  entry.host = host;
  mounted.set(host.parentElement, entry);
  entry.viewer.update(readItems(host.data.items), host.data.meta);
  return () => park(entry);
}

export { Viewer, readItems, register };
