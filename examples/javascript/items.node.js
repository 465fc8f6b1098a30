// node items.node.js [NAME]: follows the workspace of a client (CLIENT_ID, CLIENT_SECRET) of the server ROOMCAST, and
// makes an item with this name.

import { ask, followItems } from "./items.js";

const { CLIENT_ID, CLIENT_SECRET, ROOMCAST: server = "http://127.0.0.1:8000" } = process.env;

async function getToken() {
  const body = new URLSearchParams({ client_id: CLIENT_ID, client_secret: CLIENT_SECRET });
  const answer = await ask(`${server}/authenticate/client`, { method: "POST", body });
  return (await answer.json()).access_token;
}

const headers = { Authorization: `Bearer ${await getToken()}` };
const [workspace] = await (await ask(`${server}/workspaces`, { headers })).json(); // a client has exactly one
followItems({ server, workspace: workspace.id, getToken, name: process.argv[2], print: console.log });
