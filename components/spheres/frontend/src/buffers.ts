import { DynamicDrawUsage, InstancedBufferAttribute } from "three";

/** Four bytes an instance; only the span that changed goes to the GPU. */
export class ByteColumn {
  readonly attribute: InstancedBufferAttribute;
  private readonly bytes: Uint8Array;
  private first = Number.POSITIVE_INFINITY;
  private last = -1;

  constructor(count: number) {
    this.bytes = new Uint8Array(Math.max(count, 1) * 4);
    this.attribute = new InstancedBufferAttribute(this.bytes, 4);
    this.attribute.setUsage(DynamicDrawUsage);
  }

  set(i: number, a: number, b: number, c: number, d: number): void {
    const at = i * 4;
    const all = this.bytes;
    if (all[at] === a && all[at + 1] === b && all[at + 2] === c && all[at + 3] === d) return;
    all[at] = a;
    all[at + 1] = b;
    all[at + 2] = c;
    all[at + 3] = d;
    this.first = Math.min(this.first, at);
    this.last = Math.max(this.last, at + 4);
  }

  /** Marks what changed for upload; returns the number of bytes. */
  flush(): number {
    if (this.last < 0) return 0;
    const length = this.last - this.first;
    this.attribute.clearUpdateRanges();
    this.attribute.addUpdateRange(this.first, length);
    this.attribute.needsUpdate = true;
    this.first = Number.POSITIVE_INFINITY;
    this.last = -1;
    return length;
  }
}
