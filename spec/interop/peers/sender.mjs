// SPDX-License-Identifier: MIT
// A ProxyCommand on npm ws: stdin and stdout to the sshd of an emulated machine.
//   node sender.mjs MACHINE [PORT]
import { randomUUID } from "node:crypto";
import WebSocket from "ws";
import { lookup, relayCredentials, senderUrl } from "./azure.mjs";

const [machine, port = "22"] = process.argv.slice(2);
const relay = await relayCredentials(machine);
const socket = new WebSocket(senderUrl(relay, randomUUID()), {
  perMessageDeflate: false,
  lookup,
  headers: {
    ServiceBusAuthorization: relay.accessKey,
    "Service-Configuration-Token": relay.serviceConfigurationToken,
    "Microsoft-Guestgateway-Target": `localhost:${port}`,
  },
});

socket.on("open", () => {
  process.stdin.on("data", (chunk) => {
    process.stdin.pause();
    socket.send(chunk, { binary: true }, () => process.stdin.resume());
  });
  process.stdin.on("end", () => socket.close(1000));
});
socket.on("message", (data) => {
  if (!process.stdout.write(data)) {
    socket.pause();
    process.stdout.once("drain", () => socket.resume());
  }
});
socket.on("unexpected-response", (_req, res) => {
  process.stderr.write(`${res.statusCode} ${res.statusMessage}\n`);
  process.exit(255);
});
socket.on("error", (err) => {
  process.stderr.write(`${err.message}\n`);
  process.exit(255);
});
socket.on("close", (code) => process.exit(code === 1000 || code === 1005 ? 0 : 255));
