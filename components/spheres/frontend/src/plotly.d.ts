/** The part of Plotly that `chart.ts` and `marks.ts` use; the package brings no types. */
declare module "plotly.js-basic-dist-min" {
  export type Part = Record<string, unknown>;

  /** An axis as drawn; l is its linear number, for dates milliseconds since 1970. */
  export interface Axis {
    _id: string;
    _offset: number;
    _length: number;
    type: string;
    hoverformat?: string;
    r2l(told: unknown): number;
    d2l(told: unknown): number;
    l2p(linear: number): number;
    p2l(pixel: number): number;
    _numFormat(shape: string): (value: number) => string;
  }

  export interface Trace {
    index: number;
    name: string;
    visible: unknown;
    hoverinfo?: string;
    hovertemplate?: string;
    customdata?: ArrayLike<unknown>;
    text?: unknown;
    line?: { color?: string; shape?: string };
    marker?: { color?: unknown };
  }

  /** One point of a trace as drawn: p and s are a bar's place and size. */
  export interface Point {
    trace?: Trace;
    x?: number;
    y?: number;
    p?: number;
    s?: number;
  }

  export interface Plane {
    id: string;
    mainplot?: string;
    xaxis: Axis;
    yaxis: Axis;
  }

  export interface Font {
    family: string;
    size: number;
    color: string;
  }

  export interface Full {
    _plots: Record<string, Plane>;
    hoverlabel: { bgcolor?: string; bordercolor?: string; font: Font };
    [name: string]: unknown;
  }

  export interface Hovered {
    points: { x: unknown; xaxis?: Axis; yaxis?: Axis }[];
  }

  /** The element that a figure was drawn into. */
  export interface Drawn extends HTMLElement {
    _fullLayout: Full;
    calcdata: Point[][];
    on(event: "plotly_relayout", told: (change: Part) => void): void;
    on(event: "plotly_hover", told: (event: Hovered) => void): void;
    on(event: "plotly_doubleclick" | "plotly_unhover", told: () => void): void;
  }

  interface Plotly {
    react(element: HTMLElement, data: Part[], layout: Part, config: Part): Promise<Drawn>;
    relayout(element: HTMLElement, change: Part): Promise<Drawn>;
    purge(element: HTMLElement): void;
  }

  const plotly: Plotly;
  export default plotly;
}
