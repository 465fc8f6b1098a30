// Drives one official socket.io-client over JSON lines: commands on stdin, what happened on stdout.
//
// in   {cmd: "connect", url, namespace?, options?}      options as for io(); default: polling first, then upgrade
//      {cmd: "emit", event, args?, ack?, id?}           ack: true waits for the acknowledgement
//      {cmd: "disconnect"}                              says goodbye
//      {cmd: "close_transport"}                         cuts the connection without a goodbye; the client reconnects
// out  {kind: "ready"}, {kind: "connect", id, recovered, transport} (the transport that it began with; an upgrade may
//      be over by then), {kind: "connect_error", message, data},
//      {kind: "upgrade", transport}, {kind: "event", name, args}, {kind: "ack", id, args},
//      {kind: "disconnect", reason}, {kind: "error", message}
//
// A server that asks for an acknowledgement of an event gets the event's arguments back. The end of stdin ends it.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

let socket;
let firstTransport;

const report = (kind, fields = {}) => process.stdout.write(JSON.stringify({ kind, ...fields }) + "\n");

function follow(engine) {
  firstTransport = engine.transport.name;
  engine.on("upgrade", (transport) => report("upgrade", { transport: transport.name }));
}

function connect({ url, namespace = "/", options = {} }) {
  socket = io(url + namespace, { forceNew: true, ...options });
  // every reconnection makes a new engine
  socket.io.on("open", () => follow(socket.io.engine));
  socket.on("connect", () => {
    const recovered = socket.recovered ?? false; // undefined where the server offers no recovery
    report("connect", { id: socket.id, recovered, transport: firstTransport });
  });
  socket.on("connect_error", (error) =>
    report("connect_error", { message: error.message, data: error.data ?? null }),
  );
  socket.on("disconnect", (reason) => report("disconnect", { reason }));
  socket.onAny((name, ...args) => {
    const acknowledge = typeof args.at(-1) === "function" ? args.pop() : () => {};
    report("event", { name, args });
    acknowledge(...args);
  });
}

function emit({ event, args = [], ack = false, id = null }) {
  if (ack) {
    socket.emit(event, ...args, (...answer) => report("ack", { id, args: answer }));
  } else {
    socket.emit(event, ...args);
  }
}

function closeTransport() {
  const { engine } = socket.io;
  const { transport } = engine;
  if (transport.name === "websocket") {
    transport.ws.terminate();
    return;
  }
  transport.doClose = () => transport.pollXhr?.abort(); // the original would post a close packet
  engine._onClose("transport close");
}

const commands = { connect, emit, disconnect: () => socket.disconnect(), close_transport: closeTransport };

createInterface({ input: process.stdin })
  .on("line", (line) => {
    try {
      const message = JSON.parse(line);
      commands[message.cmd](message);
    } catch (error) {
      report("error", { message: `${line}: ${error.stack}` });
    }
  })
  .on("close", () => process.exit(0));

report("ready");
