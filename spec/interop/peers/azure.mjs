// SPDX-License-Identifier: MIT
// Entra and ARM as any HTTPS client sees them: relay credentials for one machine of the emulator.
// Environment: what `arclua emulator` exports, and NODE_EXTRA_CA_CERTS = the cloud file's CA.
import { readFileSync } from "node:fs";
import { request } from "node:https";

// Names below .localhost are this machine (RFC 6761); not every resolver knows.
export function lookup(_name, options, done) {
  if (options.all) done(null, [{ address: "127.0.0.1", family: 4 }]);
  else done(null, "127.0.0.1", 4);
}

function call(url, method, headers, body) {
  return new Promise((resolve, reject) => {
    const req = request(url, { method, headers, lookup }, (res) => {
      let text = "";
      res.on("data", (chunk) => { text += chunk; });
      res.on("end", () => (res.statusCode < 300
        ? resolve(JSON.parse(text))
        : reject(new Error(`${method} ${url}: ${res.statusCode} ${text}`))));
    });
    req.on("error", reject);
    req.end(body);
  });
}

const API = { machines: "2024-07-10", relay: "2023-03-15" };

export async function relayCredentials(machineName) {
  const cloud = JSON.parse(readFileSync(process.env.ARCLUA_CLOUD, "utf8"));
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: process.env.AZURE_CLIENT_ID,
    client_secret: process.env.AZURE_CLIENT_SECRET,
    scope: `${cloud.audience}/.default`,
  }).toString();
  const token = await call(`${cloud.authority}/${process.env.AZURE_TENANT_ID}/oauth2/v2.0/token`,
    "POST", { "content-type": "application/x-www-form-urlencoded",
      "content-length": form.length }, form);
  const auth = { authorization: `Bearer ${token.access_token}` };
  const arm = cloud.resource_manager;
  const subs = await call(`${arm}/subscriptions?api-version=2022-12-01`, "GET", auth);
  for (const { subscriptionId } of subs.value) {
    const list = await call(`${arm}/subscriptions/${subscriptionId}/providers/`
      + `Microsoft.HybridCompute/machines?api-version=${API.machines}`, "GET", auth);
    const machine = list.value.find((m) => m.name === machineName);
    if (machine) {
      const body = '{"serviceName":"SSH"}';
      return (await call(`${arm}${machine.id}/providers/Microsoft.HybridConnectivity/endpoints/`
        + `default/listCredentials?expiresin=10800&api-version=${API.relay}`, "POST",
      { ...auth, "content-type": "application/json", "content-length": body.length }, body)).relay;
    }
  }
  throw new Error(`no machine ${machineName}`);
}

export function senderUrl(relay, id) {
  return `wss://${relay.namespaceName}.${relay.namespaceNameSuffix}/$hc/`
    + `${relay.hybridConnectionName}?sb-hc-action=connect&sb-hc-id=${id}`;
}
