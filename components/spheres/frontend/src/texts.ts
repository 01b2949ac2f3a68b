/** A column of texts that need not all be decoded. */
export interface Texts {
  readonly length: number;
  at(i: number): string;
  indexOf(text: string): number;
  same(other: Texts): boolean;
  all(): string[];
}

export class PlainTexts implements Texts {
  readonly length: number;

  constructor(private readonly texts: readonly string[]) {
    this.length = texts.length;
  }

  at(i: number): string {
    return this.texts[i] ?? "";
  }

  indexOf(text: string): number {
    return this.texts.indexOf(text);
  }

  same(other: Texts): boolean {
    return this.length === other.length && this.texts.every((text, i) => text === other.at(i));
  }

  all(): string[] {
    return [...this.texts];
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Four bytes at a time where both blocks allow it. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const whole = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0 ? a.length >> 2 : 0;
  const left = new Int32Array(a.buffer, whole ? a.byteOffset : 0, whole);
  const right = new Int32Array(b.buffer, whole ? b.byteOffset : 0, whole);
  for (let i = 0; i < whole; i++) if (left[i] !== right[i]) return false;
  for (let i = whole * 4; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** UTF-8 in one block, as Arrow keeps it: a hundred thousand ids cost nothing until one is read. */
export class Utf8Texts implements Texts {
  readonly length: number;
  private readonly bytes: Uint8Array;

  /** offsets: where each text begins in `bytes`, and the end of the last. */
  constructor(bytes: Uint8Array, private readonly offsets: Int32Array) {
    this.length = offsets.length - 1;
    this.bytes = bytes.subarray(0, offsets[this.length]);
  }

  at(i: number): string {
    if (i < 0 || i >= this.length) return "";
    return decoder.decode(this.bytes.subarray(this.offsets[i], this.offsets[i + 1]));
  }

  indexOf(text: string): number {
    const wanted = encoder.encode(text);
    for (let i = 0; i < this.length; i++) {
      if (this.offsets[i + 1] - this.offsets[i] === wanted.length && this.matches(this.offsets[i], wanted)) return i;
    }
    return -1;
  }

  same(other: Texts): boolean {
    if (!(other instanceof Utf8Texts)) return other.length === this.length && this.all().every((t, i) => t === other.at(i));
    const bytesOf = (a: Int32Array) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
    return sameBytes(bytesOf(this.offsets), bytesOf(other.offsets)) && sameBytes(this.bytes, other.bytes);
  }

  all(): string[] {
    return Array.from({ length: this.length }, (_, i) => this.at(i));
  }

  private matches(start: number, wanted: Uint8Array): boolean {
    for (let k = wanted.length - 1; k >= 0; k--) if (this.bytes[start + k] !== wanted[k]) return false;
    return true;
  }
}
