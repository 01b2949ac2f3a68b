// Reads {"name": "flux text", ...} as JSON on stdin and writes {"name": true or false, ...} on
// stdout: whether Flux's own parser and type checker (libflux as WebAssembly) accept each.
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";

const packed = new URL("./node_modules/@influxdata/flux-lsp-browser/", import.meta.url);
const GLUE = "flux-lsp-browser_bg.js";
const WASM_IMPORT = /^import \* as wasm from .*$/m;
const VIEWS = /^cached\w+ = new \w+\(wasm\.memory\.buffer\);$/gm;

// The package is made for bundlers: its glue imports the .wasm, which Node does not load by
// itself, and the .wasm imports its glue. So the glue gets its `wasm`, and its views of the
// memory, afterwards.
const made = await readFile(new URL(GLUE, packed), "utf8");
const bind = `let wasm; export function bind(loaded) { wasm = loaded; ${made.match(VIEWS).join(" ")} }`;
const glue = made.replaceAll(VIEWS, "").replace(WASM_IMPORT, bind);
const flux = await import(`data:text/javascript;base64,${Buffer.from(glue).toString("base64")}`);
const bytes = await readFile(new URL("flux-lsp-browser_bg.wasm", packed));
const { instance } = await WebAssembly.instantiate(bytes, { [`./${GLUE}`]: flux });
flux.bind(instance.exports);

const answers = {};
for (const [name, script] of Object.entries(JSON.parse(await text(process.stdin)))) {
  answers[name] = flux.is_valid_flux(script);
}
process.stdout.write(JSON.stringify(answers));
