const SETTLE_MS = 120;

/** Calls `navigate` when the browser's back or forward leads to another path than the one shown. */
export function followHistory(shown: () => readonly string[], navigate: (ids: string[]) => void): () => void {
  const page = window.location.pathname;
  let timer = 0;
  const check = () => {
    if (window.location.pathname !== page) return;
    const wanted = new URLSearchParams(window.location.search).get("path") ?? "";
    const path = shown();
    if (wanted !== (path[path.length - 1] ?? "")) navigate(wanted ? [wanted] : []);
  };
  const onPop = () => {
    clearTimeout(timer);
    timer = window.setTimeout(check, SETTLE_MS);
  };
  window.addEventListener("popstate", onPop);
  return () => {
    clearTimeout(timer);
    window.removeEventListener("popstate", onPop);
  };
}
