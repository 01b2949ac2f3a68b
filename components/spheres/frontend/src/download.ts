import type { Meta } from "./types";

/** A moment as people read it, and as a file's name may contain it. */
export function moment(meta: Meta, now = new Date()): { words: string; name: string } {
  const time = meta.past ? new Date(meta.past.time) : now;
  const iso = Number.isNaN(time.getTime()) ? now.toISOString() : time.toISOString();
  const plain = iso.slice(0, 19);
  return { words: meta.past?.words ?? `${plain.replace("T", " ")} UTC`, name: `${plain.replace(/:/g, "-")}Z` };
}

/** For instance orrery-rack-3-2026-11-21T16-20-05Z.png */
export function fileName(meta: Meta, ending: string): string {
  const place = meta.parent.name.normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").toLowerCase();
  return `orrery-${place.slice(0, 60) || "scene"}-${moment(meta).name}.${ending}`;
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
