// SPDX-License-Identifier: MIT
// Microsoft's own libraries sign in to the emulator's Entra. What they got is printed as JSON lines;
// no token is.
//   node --require names.cjs entra.mjs secret|certificate|device|code|identity-secret|
//     identity-certificate|identity-workload
import { readFileSync } from "node:fs";
import { createHash, X509Certificate } from "node:crypto";
import { createInterface } from "node:readline";
import { ClientCertificateCredential, ClientSecretCredential, WorkloadIdentityCredential } from "@azure/identity";
import { ConfidentialClientApplication, CryptoProvider, PublicClientApplication } from "@azure/msal-node";

const AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId } = process.env;
const cloud = JSON.parse(readFileSync(process.env.ARCLUA_CLOUD, "utf8"));
const scopes = [`${cloud.audience}/.default`];
const knownAuthorities = [new URL(cloud.authority).host];
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const say = (what) => console.log(JSON.stringify(what));
const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

function got(result) {
  const { aud, tid, idtyp, upn } = claims(result.accessToken ?? result.token);
  say({ event: "token", aud, tid, idtyp, upn, type: result.tokenType, cached: result.fromCache,
    username: result.account?.username, home: result.account?.homeAccountId });
}

function auth(more, directory = tenant) {
  return { auth: { authority: `${cloud.authority}/${directory}`, knownAuthorities, clientId, ...more } };
}

function pem() {
  const text = readFileSync(process.env.AZURE_CLIENT_CERTIFICATE_PATH, "utf8");
  const der = new X509Certificate(text).raw;
  return { thumbprintSha256: createHash("sha256").update(der).digest("hex"), privateKey: text.slice(
    text.indexOf("-----BEGIN PRIVATE KEY")), x5c: text.slice(0, text.indexOf("-----BEGIN PRIVATE")) };
}

async function confidential(more) {
  const app = new ConfidentialClientApplication(auth(more));
  got(await app.acquireTokenByClientCredential({ scopes }));
  got(await app.acquireTokenByClientCredential({ scopes }));
  got(await app.acquireTokenByClientCredential({ scopes, skipCache: true }));
}

// A person is signed in: from the cache, then by the refresh token, twice, as it rotates.
async function again(app, account) {
  got(await app.acquireTokenSilent({ scopes, account }));
  for (let i = 0; i < 2; i++) got(await app.acquireTokenSilent({ scopes, account, forceRefresh: true }));
}

const ways = {
  secret: () => confidential({ clientSecret: process.env.AZURE_CLIENT_SECRET }),

  certificate: () => confidential({ clientCertificate: pem() }),

  async device() {
    const app = new PublicClientApplication(auth({ clientId: AZURE_CLI }, "organizations"));
    const result = await app.acquireTokenByDeviceCode({ scopes,
      deviceCodeCallback: ({ userCode, verificationUri, message }) =>
        say({ event: "device", userCode, verificationUri, message }) });
    got(result);
    await again(app, result.account);
  },

  async code() {
    const app = new PublicClientApplication(auth({ clientId: AZURE_CLI }));
    const pkce = await new CryptoProvider().generatePkceCodes();
    const redirectUri = "http://localhost:8400";
    say({ event: "browse", url: await app.getAuthCodeUrl({ scopes, redirectUri, state: "abc", nonce: "n-1",
      codeChallenge: pkce.challenge, codeChallengeMethod: "S256" }) });
    const where = new URL((await lines.next()).value);
    const result = await app.acquireTokenByCode({ scopes, redirectUri, codeVerifier: pkce.verifier,
      code: where.searchParams.get("code"), state: "abc", nonce: "n-1" },
      { state: where.searchParams.get("state") });
    got(result);
    await again(app, result.account);
  },

  async "identity-secret"() {
    got(await new ClientSecretCredential(tenant, clientId, process.env.AZURE_CLIENT_SECRET,
      { authorityHost: cloud.authority, disableInstanceDiscovery: true }).getToken(scopes));
  },

  async "identity-certificate"() {
    got(await new ClientCertificateCredential(tenant, clientId, process.env.AZURE_CLIENT_CERTIFICATE_PATH,
      { authorityHost: cloud.authority, disableInstanceDiscovery: true, sendCertificateChain: true })
      .getToken(scopes));
  },

  async "identity-workload"() {
    got(await new WorkloadIdentityCredential({ authorityHost: cloud.authority,
      disableInstanceDiscovery: true }).getToken(scopes));
  },
};

try {
  await ways[process.argv[2]]();
  say({ event: "end" });
} catch (err) {
  say({ event: "error", code: err.errorCode, message: err.message });
}
process.exit(0);
