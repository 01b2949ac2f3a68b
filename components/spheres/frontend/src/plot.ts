import { Chart, type Told } from "./chart";
import { Keeper } from "./keeper";

interface Host {
  data: Uint8Array;
  parentElement: HTMLElement;
}

const charts = new Keeper<Chart>();
const text = new TextDecoder();

/** Streamlit calls this on every change of the data; the chart lives on until the clean-up. */
export default function plot(host: Host): () => void {
  const told = JSON.parse(text.decode(host.data)) as Told;
  const parent = host.parentElement;
  const [chart, leave] = charts.take(told.key, parent, () => new Chart(parent));
  chart.update(told);
  return leave;
}
