// node records.node.js shop/orders KEY [JSON]: follows the records of an endpoint of the server ROOMCAST, and stores
// a record with these data.

import { followRecords } from "./records.js";

globalThis.WebSocket ??= (await import("ws")).WebSocket; // Node has its own since version 22

const [name, key, json] = process.argv.slice(2);
const { ROOMCAST: server = "http://127.0.0.1:8000" } = process.env;
const data = json && JSON.parse(json);
await followRecords({ url: `${server}/api/1/ce/${name}`, key, data, print: console.log });
