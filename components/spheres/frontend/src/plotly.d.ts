/** The part of Plotly that `chart.ts` uses; the package brings no types. */
declare module "plotly.js-basic-dist-min" {
  export type Part = Record<string, unknown>;

  /** The element that a figure was drawn into. */
  export interface Drawn extends HTMLElement {
    on(event: "plotly_relayout", told: (change: Part) => void): void;
    on(event: "plotly_doubleclick", told: () => void): void;
  }

  interface Plotly {
    react(element: HTMLElement, data: Part[], layout: Part, config: Part): Promise<Drawn>;
    relayout(element: HTMLElement, change: Part): Promise<Drawn>;
    purge(element: HTMLElement): void;
  }

  const plotly: Plotly;
  export default plotly;
}
