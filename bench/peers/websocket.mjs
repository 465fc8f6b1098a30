// Node's `ws` with the loop that its documentation shows for a broadcast.
import { WebSocket, WebSocketServer } from "ws";
import { control } from "./control.mjs";

const [port, controlPort] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port, host: "127.0.0.1", backlog: 4096 });
control(controlPort, (change) => {
  const data = JSON.stringify(change);
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
  }
});
