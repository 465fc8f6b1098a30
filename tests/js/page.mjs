// Runs the module script of a page as a browser would, as far as its form and its `pre` go.
//
// node page.mjs PAGE JSON      JSON: what is written into the form, which is then sent; what the page shows is printed
//
// The script is written beside the page, from where its imports are resolved.

import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { WebSocket } from "ws";

const [page, fields] = process.argv.slice(2);
const [, script] = (await readFile(page, "utf8")).match(/<script type="module">(.*?)<\/script>/s);
const output = { append: (text) => process.stdout.write(text) };
const form = {};

globalThis.WebSocket ??= WebSocket;
globalThis.document = { querySelector: (name) => ({ form, pre: output })[name] };
globalThis.FormData = function () {
  return Object.entries(JSON.parse(fields));
};

await writeFile(`${page}.mjs`, script);
await import(pathToFileURL(`${page}.mjs`));
form.onsubmit({ preventDefault: () => {} });
