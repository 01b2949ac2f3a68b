import type { WireError, WireView } from "./protocol";

const RETRY_MS = 2000;

export interface LinkEvents {
  connected(on: boolean): void;
  view(view: WireView): void;
  error(message: string): void;
}

function address(): string {
  const given = new URLSearchParams(window.location.search).get("ws");
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return given ?? `${scheme}://${window.location.host}/`;
}

/** A WebSocket that comes back by itself and asks for the same path again. */
export class Link {
  path: string[] = [];
  private socket: WebSocket | null = null;

  constructor(private readonly on: LinkEvents) {
    this.open();
  }

  navigate(path: string[]): void {
    this.path = path;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "navigate", path }));
    }
  }

  private open(): void {
    const socket = new WebSocket(address());
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.on.connected(true);
      this.navigate(this.path);
    });
    socket.addEventListener("message", (e) => this.read(String(e.data)));
    socket.addEventListener("close", () => {
      this.on.connected(false);
      setTimeout(() => this.open(), RETRY_MS);
    });
  }

  private read(text: string): void {
    const message = JSON.parse(text) as WireView | WireError;
    if ("type" in message && message.type === "error") this.on.error(message.message);
    else if ("view" in message) this.on.view(message);
  }
}
