// SPDX-License-Identifier: MIT
// A relay on npm ws, written against the protocol's description alone: it takes senders, checks
// their request, and joins each with a child process (an sshd, or `cat`).
//   node relay.mjs CERT KEY COMMAND [ARG...]
// Prints {"port":N} when it listens, then one JSON line a connection.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { WebSocketServer } from "ws";

const [cert, key, command, ...args] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
const relay = new WebSocketServer({ noServer: true, perMessageDeflate: true });
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

// What a sender must send: the reason for a refusal, or null.
function wrong(request, url) {
  const h = request.headers;
  if (!decodeURIComponent(url.pathname).startsWith("/$hc/")) return [404, "Endpoint does not exist."];
  if (url.searchParams.get("sb-hc-action") !== "connect") return [400, "bad action"];
  if (!/^[0-9a-f-]{36}$/.test(url.searchParams.get("sb-hc-id"))) return [400, "bad id"];
  if (!/^SharedAccessSignature sr=/.test(h.servicebusauthorization || "")) {
    return [401, "MissingToken: Relay security token is required."];
  }
  if (!/^localhost:\d+$/.test(h["microsoft-guestgateway-target"] || "")) return [400, "no target"];
  if (h.origin || h["sec-websocket-protocol"] || h["sec-websocket-extensions"]) {
    return [400, "a header that no sender sends"];
  }
  return null;
}

function bridge(socket) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  socket.on("message", (data, isBinary) => {
    if (!isBinary) socket.close(1003);
    else if (!child.stdin.write(data)) {
      socket.pause();
      child.stdin.once("drain", () => socket.resume());
    }
  });
  child.stdin.on("error", () => {});
  child.stdout.on("data", (chunk) => {
    child.stdout.pause();
    socket.send(chunk, { binary: true }, () => child.stdout.resume());
  });
  child.stdout.on("end", () => socket.close(1000));
  socket.on("close", (code) => {
    say({ event: "closed", code });
    child.stdin.end();
    child.kill();
  });
}

server.on("upgrade", (request, stream, head) => {
  const url = new URL(request.url, "https://relay");
  const refusal = wrong(request, url);
  say({ event: "connect", path: url.pathname, refusal });
  if (refusal) {
    stream.end(`HTTP/1.1 ${refusal[0]} ${refusal[1]} TrackingId:${url.searchParams.get("sb-hc-id")}`
      + "_G0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  relay.handleUpgrade(request, stream, head, bridge);
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
