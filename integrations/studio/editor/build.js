// Bundles src/ into integrations/static/integrations/: `npm ci && npm run build`.
// The first line of the bundle names what it was made from; tests/integrations/studio/test_editor.py compares it.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const OUT = "../../static/integrations";
const sources = ["build.js", "package-lock.json", "package.json", ...readdirSync("src").sort().map((name) => `src/${name}`)];
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\n`).update(readFileSync(name));

const made = await build({
  entryPoints: ["src/editor.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  legalComments: "none",
  metafile: true,
  write: false,
});
const packages = new Set();
for (const input of Object.keys(made.metafile.inputs)) {
  const found = input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const licenses = [...packages].sort().map((name) => {
  const folder = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((item) => join(folder, item)).find(existsSync);
  if (!file) throw new Error(`${name} has no license file.`);
  return `${name} ${version} (${license})\n\n${readFileSync(file, "utf8").trim()}\n`;
});
mkdirSync(OUT, { recursive: true });
writeFileSync(`${OUT}/editor.js`, `/* Made from ${digest.digest("hex")} by integrations/studio/editor/build.js; licenses: editor.licenses.txt */\n${made.outputFiles[0].text}`);
writeFileSync(`${OUT}/editor.licenses.txt`, licenses.join(`\n${"-".repeat(80)}\n\n`));
