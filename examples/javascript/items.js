// Follows the board of one workspace: its columns as they are, then every change. For browsers and Node alike.

import { io } from "socket.io-client"; // in a browser the page's import map says where that is

const RETRY = 2000; // milliseconds

// The answer to a request. What the server refuses throws an error with `refused`: asking again would not help.
export async function ask(url, options) {
  const response = await fetch(url, options);
  if (response.ok) return response;
  const error = new Error(`${response.status} ${await response.text()}`);
  throw Object.assign(error, { refused: response.status < 500 });
}

// `getToken` gives (a promise of) an access token that is still good; `name`, if given, is that of an item to make;
// `print` gets each line. Returns how to end it.
export function followItems({ server, workspace, getToken, name, print }) {
  // with `recovery` the client is told what it missed while it was away, even if the server was killed meanwhile
  const auth = async (give) => give({ token: await getToken(), recovery: true });
  const socket = io(`${server}/events`, { auth: (give) => auth(give).catch(again) });
  let ended = false;

  // The answer shows the state at the position `Stream-Offset`; what happened above that is told as events.
  async function enter() {
    const headers = { Authorization: `Bearer ${await getToken()}`, "Content-Type": "application/json" };
    const response = await ask(`${server}/workspaces/${workspace}?include=workflows`, { headers });
    const columns = (await response.json()).workflows.flatMap((workflow) => workflow.columns);
    columns.forEach(showColumn);
    const since = response.headers.get("Stream-Offset");
    const answer = await socket.timeout(10_000).emitWithAck("select-workspace", workspace, { since });
    if (!answer.ok || answer.refresh) throw new Error(answer.message ?? "that past is gone");
    print("following");
    if (name) {
      const body = JSON.stringify({ column_id: columns[0].id, name });
      await ask(`${server}/items`, { method: "POST", headers, body }); // of which we are told like everybody
      name = undefined;
    }
  }

  function again(error) {
    if (error) print(error.message);
    socket.disconnect();
    if (!error?.refused) setTimeout(() => ended || socket.connect(), RETRY);
  }

  const showColumn = (column) => print(`${column.name}: ${column.subscribed_items}`);

  socket.on("connect", () => socket.recovered || enter().catch(again));
  socket.on("disconnect", (reason) => reason === "io server disconnect" && again()); // the token has expired
  socket.on("connect_error", (error) => socket.active || again(error)); // the token was refused
  socket.on("item-updated", (item) => print(`${item.name} is ${item.state}`)); // `item` is the whole item
  socket.on("item-removed", (id) => print(`${id} is gone`));
  socket.on("column-patched", showColumn);
  socket.on("workspace-deselected", () => print("no longer a member"));
  return () => (ended = true) && socket.disconnect();
}
