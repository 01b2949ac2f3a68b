import { copyFile, mkdir, rm } from "node:fs/promises";
import * as esbuild from "esbuild";

const out = "../orrery_spheres/assets";

const options = {
  entryPoints: ["src/index.ts", "src/standalone.ts", "src/plot.ts"],
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await copyFile("src/standalone.html", `${out}/standalone.html`);
if (process.argv.includes("--watch")) {
  await (await esbuild.context(options)).watch();
} else {
  await esbuild.build(options);
}
