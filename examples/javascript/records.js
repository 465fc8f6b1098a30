// Follows the records of one endpoint. For browsers and Node alike.

const REFUSED = 4000; // the reason says what is wrong: name, key, origin or token
const RETRY = 1000; // milliseconds

// `url` is the endpoint's, `key` that of its project, `accessToken` (for a secure endpoint) that of a user; `data`,
// if given, are stored as a new record; `print` gets each line. Throws when it is refused.
export async function followRecords({ url, key, accessToken, data, print }) {
  let since; // the position up to which everything is known

  async function ask(options) {
    const authorization = accessToken && { Authorization: `Bearer ${accessToken}` };
    const headers = { "Content-Type": "application/json", ...authorization };
    const response = await fetch(`${url}?${new URLSearchParams({ key })}`, { headers, ...options });
    if (response.ok) return response;
    const error = new Error(response.status < 500 ? (await response.json()).error.message : response.statusText);
    throw Object.assign(error, { refused: response.status < 500 });
  }

  // All records at the position `Stream-Offset`; what happened above that is told as messages.
  async function read() {
    const response = await ask();
    for (const { data } of await response.json()) print(`record ${JSON.stringify(data)}`);
    since = response.headers.get("Stream-Offset");
    print("following");
  }

  // Of this change too we are told as a message.
  async function store() {
    await ask({ method: "POST", body: JSON.stringify(data) });
    data = undefined;
  }

  function listen() {
    const query = new URLSearchParams({ key, since, offsets: true, ...(accessToken && { accessToken }) });
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}?${query}`);
    socket.onmessage = ({ data }) => {
      const { type, record, offset } = JSON.parse(data);
      since = offset; // none with `refresh`: that past is gone, so read anew
      if (type === "refresh") return (socket.onmessage = null), socket.close();
      for (const { data } of [record].flat()) print(`${type} ${JSON.stringify(data)}`); // an upload has several
    };
    return new Promise((ended) => (socket.onclose = ended));
  }

  for (;;) {
    try {
      if (since === undefined) await read();
      if (data !== undefined) await store();
      const { code, reason } = await listen();
      if (code === REFUSED) throw Object.assign(new Error(reason), { refused: true });
    } catch (error) {
      if (error.refused) throw error;
      print(`trying again: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}
