// SPDX-License-Identifier: MIT
// A machine's agent on npm ws: joins each sender with a child (an sshd), or rejects it.
//   node listener.mjs COMMAND [ARG...]     with ARCLUA_EMULATOR_LISTENERS
// "reject" as COMMAND answers as an agent does whose sshd is down. Renews its token once.
// Prints one JSON line an event.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const [command, ...args] = process.argv.slice(2);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const machine = JSON.parse(
  readFileSync(process.env.ARCLUA_EMULATOR_LISTENERS, "utf8").split("\n")[0]);
const options = { ca: readFileSync(machine.ca), perMessageDeflate: false };

function token(seconds) {
  const sr = encodeURIComponent(`http://localhost/${machine.path}`);
  const se = Math.floor(Date.now() / 1000) + seconds;
  const sig = createHmac("sha256", machine.key).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${machine.rule}`;
}

function reject(address) {
  const text = "connection to localhost:22 failed: dial tcp 127.0.0.1:22: connect: refused";
  const socket = new WebSocket(`${address}&sb-hc-statusCode=503&sb-hc-statusDescription=`
    + encodeURIComponent(text), options);
  socket.on("unexpected-response", (_req, res) => {
    say({ event: "rejected", status: res.statusCode });
    socket.terminate();
  });
  socket.on("error", () => {});
}

function accept(address) {
  const socket = new WebSocket(address, options);
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  socket.on("open", () => {
    child.stdout.on("data", (chunk) => {
      child.stdout.pause();
      socket.send(chunk, { binary: true }, () => child.stdout.resume());
    });
    child.stdout.on("end", () => socket.close(1000));
  });
  socket.on("message", (data) => {
    if (!child.stdin.write(data)) {
      socket.pause();
      child.stdin.once("drain", () => socket.resume());
    }
  });
  child.stdin.on("error", () => {});
  socket.on("close", (code) => {
    child.stdin.end();
    say({ event: "closed", code });
  });
}

const control = new WebSocket(`${machine.address}?sb-hc-action=listen`, {
  ...options, headers: { ServiceBusAuthorization: token(600) } });
control.on("open", () => {
  control.send(JSON.stringify({ renewToken: { token: token(3600) } }));
  say({ event: "listening" });
});
control.on("message", (text, isBinary) => {
  const { address, connectHeaders } = JSON.parse(text).accept;
  say({ event: "accept", isBinary, target: connectHeaders["Microsoft-Guestgateway-Target"],
    secrets: Object.keys(connectHeaders).filter((name) => /^servicebusauth/i.test(name)).length });
  if (command === "reject") reject(address);
  else accept(address);
});
control.on("close", (code) => say({ event: "control-closed", code }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
