import { DynamicDrawUsage, InstancedBufferAttribute } from "three";

/** Four bytes an instance; only the span that changed goes to the GPU. */
export class ByteColumn {
  readonly attribute: InstancedBufferAttribute;
  private readonly words: Uint32Array;
  private first = Number.POSITIVE_INFINITY;
  private last = -1;

  constructor(count: number) {
    this.words = new Uint32Array(Math.max(count, 1));
    this.attribute = new InstancedBufferAttribute(new Uint8Array(this.words.buffer), 4);
    this.attribute.setUsage(DynamicDrawUsage);
  }

  set(i: number, a: number, b: number, c: number, d: number): void {
    const word = (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
    if (this.words[i] === word) return;
    this.words[i] = word;
    if (i < this.first) this.first = i;
    if (i > this.last) this.last = i;
  }

  /** Marks what changed for upload; returns the number of bytes. */
  flush(): number {
    if (this.last < 0) return 0;
    const length = (this.last - this.first + 1) * 4;
    this.attribute.clearUpdateRanges();
    this.attribute.addUpdateRange(this.first * 4, length);
    this.attribute.needsUpdate = true;
    this.first = Number.POSITIVE_INFINITY;
    this.last = -1;
    return length;
  }
}
