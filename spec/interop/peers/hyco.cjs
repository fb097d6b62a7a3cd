// SPDX-License-Identifier: MIT
// A machine's agent on hyco-ws, Microsoft's own package for listeners (on ws 1.1.5).
//   node hyco.cjs COMMAND [ARG...]   with ARCLUA_EMULATOR_LISTENERS and NODE_EXTRA_CA_CERTS
const { spawn } = require("node:child_process");
const { readFileSync } = require("node:fs");
const hyco = require("hyco-ws");

const [command, ...args] = process.argv.slice(2);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const machine = JSON.parse(
  readFileSync(process.env.ARCLUA_EMULATOR_LISTENERS, "utf8").split("\n")[0]);
const uri = `${machine.address}?sb-hc-action=listen`;

const server = hyco.createRelayedServer({
  server: uri,
  token: () => hyco.createRelayToken(uri, machine.rule, machine.key),
}, (socket) => {
  say({ event: "connection" });
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const early = []; // it says "connection" before the socket is open
  const send = (chunk) => (socket.readyState === 1
    ? socket.send(chunk, { binary: true }) : early.push(chunk));
  socket.on("open", () => early.splice(0).forEach((chunk) => socket.send(chunk, { binary: true })));
  child.stdout.on("data", send);
  child.stdout.on("end", () => socket.close(1000));
  child.stdin.on("error", () => {});
  socket.on("message", (data) => child.stdin.write(data));
  socket.on("close", (code) => {
    child.stdin.end();
    say({ event: "closed", code });
  });
});
server.on("error", (err) => say({ event: "error", message: String(err) }));
server.on("listening", () => say({ event: "listening" }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
