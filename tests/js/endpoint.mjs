// Opens sockets on endpoints with the event interface of browsers, over JSON lines.
//
// in   {cmd: "open", id, url, headers?}      headers: what a browser would add by itself: Origin, Cookie
// out  {kind: "ready"}, {kind: "open" | "message" | "close", id, …}: `data` of a message, `code` and `reason` of a close
//
// The end of stdin ends it.

import { createInterface } from "node:readline";
import WebSocket from "ws";

const report = (kind, fields = {}) => process.stdout.write(JSON.stringify({ kind, ...fields }) + "\n");

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, url, headers } = JSON.parse(line);
    const socket = new WebSocket(url, { headers });
    socket.onopen = () => report("open", { id });
    socket.onmessage = ({ data }) => report("message", { id, data: JSON.parse(data) });
    socket.onclose = ({ code, reason }) => report("close", { id, code, reason });
    socket.onerror = () => {};
  })
  .on("close", () => process.exit(0));

report("ready");
