// Node's Socket.IO as its documentation shows it: clients join a room, changes are emitted to the room.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { control } from "./control.mjs";

const [port, controlPort] = process.argv.slice(2).map(Number);
const http = createServer();
const io = new Server(http);
const core = io.of("/core");
core.on("connection", (socket) => {
  socket.on("page", (page, answer) => {
    socket.join(`table:${page.table_id}`);
    answer({ ok: true });
  });
});
control(controlPort, (change) => core.to("table:1").emit("rows_created", change));
http.listen({ port, host: "127.0.0.1", backlog: 4096 });
