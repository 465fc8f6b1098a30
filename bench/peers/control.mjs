// The control port: each line "turn FIRST COUNT AT" has so many changes published, numbered from FIRST.
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const body = JSON.parse(process.env.BENCH_CHANGE);
const hole = body.rows[0].field_1;
const digits = (value, width) => value.padStart(width, "0");

/** The change with this number, as an object; `at` stays a text, since nanoseconds do not fit a number. */
function change(number, at) {
  body.rows[0].field_1 = hole.replace("{marker}", `seq=${digits(String(number), 9)} at=${digits(at, 19)}`);
  return body;
}

export function control(port, publish) {
  createServer((socket) => {
    createInterface({ input: socket }).on("line", (line) => {
      const [, first, count, at] = line.split(" ");
      for (let number = Number(first); number < Number(first) + Number(count); number++) publish(change(number, at));
    });
  }).listen(port, "127.0.0.1");
}
