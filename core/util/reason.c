/* SPDX-License-Identifier: MIT */
#include "util/reason.h"

#include <string.h>

/* Keep sorted by name: found by bisection; a spec walks it. */
const struct arc_reason arc_reasons[] = {
    {"arm.authorization-failed", ARC_E_DENIED, false,
     "ask an Owner of the machine's resource group for the role that the "
     "message names; a new role takes some minutes to count"},
    {"arm.bad-request", ARC_E_CONFIG, false,
     "correct the value that the message names"},
    {"arm.busy", ARC_E_CONFLICT, true,
     "another operation on this resource is under way: wait for its end, then "
     "try again"},
    {"arm.conflict", ARC_E_CONFLICT, false,
     "another change is under way, or a lock forbids it: wait or remove the "
     "lock, then try again"},
    {"arm.machine-not-found", ARC_E_NOTFOUND, false,
     "check the name, the resource group and the subscription: `arclua "
     "machines` lists what you can see"},
    {"arm.not-found", ARC_E_NOTFOUND, false,
     "check the resource ID, and that you may read it"},
    {"arm.operation-failed", ARC_E_UNKNOWN, false,
     "Azure took the request and could not carry it out, as the message says: "
     "mend that, then send it again"},
    {"arm.operation-timeout", ARC_E_TIMEOUT, false,
     "the operation goes on in Azure: look at the resource later, or wait "
     "longer"},
    {"arm.operation-unknown", ARC_E_UNKNOWN, false,
     "how the operation ended cannot be read: look at the resource itself"},
    {"arm.outcome-unknown", ARC_E_UNKNOWN, false,
     "whether Azure carried the request out is unknown, so it was not sent "
     "again: look at the resource first"},
    {"arm.precondition-failed", ARC_E_CONFLICT, false,
     "somebody else changed it meanwhile: read it again, and send the change "
     "with its new ETag"},
    {"arm.provider-not-registered", ARC_E_CONFIG, false,
     "an Owner registers it once: az provider register --namespace "
     "Microsoft.HybridConnectivity"},
    {"arm.server-error", ARC_E_UNAVAILABLE, true,
     "Azure failed on its side: try again later; give the request id to its "
     "support"},
    {"arm.setup-needed", ARC_E_CONFIG, false,
     "run it once with --enable, which creates the endpoint and the SSH "
     "service "
     "configuration (for Owners and Contributors)"},
    {"arm.throttled", ARC_E_THROTTLED, true,
     "Azure limits requests a subscription: wait the time it asks for, or "
     "lower --parallel"},
    {"arm.token-refused", ARC_E_AUTH, false,
     "sign in again: the token has expired or is for another tenant or cloud"},
    {"arm.wrong-tenant", ARC_E_AUTH, false,
     "the subscription belongs to another tenant than the token: name it with "
     "--tenant"},
    {"copy.bad-name", ARC_E_PROTOCOL, false,
     "such a name can be no file here: copy it under another one"},
    {"copy.failed", ARC_E_IO, false,
     "each file that was not copied has its own reason"},
    {"copy.is-directory", ARC_E_CONFLICT, false,
     "a directory is copied with -r, and a file never replaces one"},
    {"copy.is-file", ARC_E_CONFLICT, false,
     "a directory never replaces a file: remove it, or name another target"},
    {"copy.loop", ARC_E_CONFLICT, false,
     "copy links as links (--symlinks copy), or leave it out (--exclude)"},
    {"copy.no-checksum", ARC_E_CONFIG, false,
     "leave --checksum away: that machine runs no such command for this login"},
    {"copy.no-directory", ARC_E_NOTFOUND, false,
     "end the target with a slash, and it is made"},
    {"copy.not-regular", ARC_E_CONFIG, false,
     "only files, directories and links are copied"},
    {"copy.one-target", ARC_E_CONFIG, false,
     "give each machine a target of its own: {name}, or a slash at the end"},
    {"copy.through-link", ARC_E_CONFLICT, false,
     "what is copied never passes through a link inside the target: remove the "
     "link, or copy to where it leads"},
    {"copy.unsafe-link", ARC_E_CONFLICT, false,
     "--symlinks follow copies what it leads to, --symlinks skip leaves links "
     "out"},
    {"copy.wrong-checksum", ARC_E_IO, false,
     "copy it again; when that does not help, look for a broken disk or memory "
     "at either end"},
    {"cred.az-failed", ARC_E_AUTH, false,
     "run `az account get-access-token` to see what is wrong, often `az "
     "login` mends it"},
    {"cred.bad-certificate", ARC_E_CONFIG, false,
     "the file must hold the application's certificate and its RSA key, as PEM "
     "or PKCS #12; its password goes into AZURE_CLIENT_CERTIFICATE_PASSWORD"},
    {"cred.bad-token-file", ARC_E_CONFIG, false,
     "AZURE_FEDERATED_TOKEN_FILE must name the file that the platform writes "
     "the workload's token to: check the service account or the job"},
    {"cred.certificate-expired", ARC_E_AUTH, false,
     "upload a new certificate to the application, or correct this "
     "machine's clock"},
    {"cred.identity-failed", ARC_E_AUTH, false,
     "the service that gives this machine its identity did not answer as it "
     "should: `azcmagent show`, `azcmagent check`"},
    {"cred.locked", ARC_E_AUTH, false,
     "it is encrypted by the desktop's secret service: run it in your "
     "desktop's session and unlock the keyring, or sign in again with `arclua "
     "login "
     "--encrypt never`"},
    {"cred.no-certificate", ARC_E_AUTH, false,
     "sign in with `arclua login` and pass --credential login, or as an "
     "application"},
    {"cred.none", ARC_E_AUTH, false,
     "run `arclua login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
     "AZURE_CLIENT_SECRET, or AZURE_ACCESS_TOKEN, or run `az login`"},
    {"cred.other-tenant", ARC_E_CONFIG, false,
     "name the tenant in AZURE_ADDITIONALLY_ALLOWED_TENANTS (separated by ;, "
     "or * for all), or sign in to it"},
    {"cred.unavailable", ARC_E_AUTH, false, "configure this credential"},
    {"cred.untrusted-cloud", ARC_E_CONFIG, false,
     "the credential in the environment belongs to another authority: give "
     "the cloud file its own credential, or pass --trust-cloud"},
    {"entra.bad-certificate", ARC_E_PROTOCOL, false,
     "what Entra gave cannot be used to log in: try again; else look for a "
     "proxy that answers in its place"},
    {"entra.bad-client", ARC_E_AUTH, false,
     "check the client ID and the secret's value (not its ID) and that it has "
     "not expired"},
    {"entra.bad-request", ARC_E_AUTH, false,
     "check the tenant, client ID and scope"},
    {"entra.bad-scope", ARC_E_AUTH, false,
     "check the scope, the tenant and the cloud"},
    {"entra.bad-tenant", ARC_E_AUTH, false,
     "check AZURE_TENANT_ID and the cloud"},
    {"entra.bad-token", ARC_E_PROTOCOL, false,
     "what answered did not give a usable token: try again; look for a proxy "
     "that changes answers"},
    {"entra.certificate-time", ARC_E_AUTH, false,
     "correct this machine's clock: Entra's certificates are valid for an "
     "hour"},
    {"entra.clock-skew", ARC_E_AUTH, false,
     "correct this machine's clock: `timedatectl` shows whether it is set by "
     "the network"},
    {"entra.code-expired", ARC_E_TIMEOUT, false,
     "start the sign-in again, and finish it while the code is good"},
    {"entra.declined", ARC_E_DENIED, false,
     "the sign-in was declined in the browser: start it again to accept it"},
    {"entra.interaction-required", ARC_E_AUTH, false,
     "sign in again interactively: the directory asks for more than this "
     "credential can give"},
    {"entra.no-certificate", ARC_E_AUTH, false,
     "sign in as a person (arclua login) or as an application: Entra gives "
     "SSH certificates to no other"},
    {"entra.pending", ARC_E_UNAVAILABLE, true,
     "finish the sign-in in the browser, with the code that was shown"},
    {"entra.server-error", ARC_E_UNAVAILABLE, true,
     "Entra failed on its side: try again later"},
    {"entra.signed-out", ARC_E_AUTH, false,
     "the stored sign-in has ended (its time, or a changed password): run "
     "`arclua login` again"},
    {"entra.slow-down", ARC_E_THROTTLED, true,
     "Entra was asked too often whether a sign-in is finished: wait"},
    {"entra.throttled", ARC_E_THROTTLED, true,
     "Entra limits sign-ins: wait the time it asks for"},
    {"fleet.deadline", ARC_E_TIMEOUT, false,
     "raise --deadline, or select fewer machines"},
    {"fleet.stopped", ARC_E_CANCELLED, false,
     "run it again on the machines that were not tried"},
    {"http.bad-answer", ARC_E_PROTOCOL, false,
     "what answered is not the service: look for a proxy or captive portal"},
    {"http.too-large", ARC_E_LIMIT, false,
     "the answer is larger than the service ever sends"},
    {"io.no-space", ARC_E_IO, false,
     "make room on that file system, or ask for more quota, and copy again"},
    {"machine.disconnected", ARC_E_UNAVAILABLE, false,
     "on the machine: `azcmagent show` and start the agent; or pass "
     "--try-disconnected"},
    {"machine.no-entra-login", ARC_E_CONFIG, false,
     "log in to Windows machines with a local user (-l) and its key, or leave "
     "them out: --os linux"},
    {"machine.posix-only", ARC_E_CONFIG, false,
     "leave the option away for Windows machines, or exclude them with --os "
     "linux"},
    {"net.bad-proxy", ARC_E_CONFIG, false,
     "write SCHEME://[USER:PASSWORD@]HOST[:PORT], with http, https, socks5 or "
     "socks4; other characters of user and password than letters and digits "
     "as %HH"},
    {"net.not-tls", ARC_E_PROTOCOL, false,
     "something on the way answered instead of the service: a captive portal "
     "(sign in to the network with a browser) or a wrong proxy"},
    {"net.proxy-answer", ARC_E_PROTOCOL, false,
     "a proxy or captive portal answered instead of the service: check "
     "HTTPS_PROXY and NO_PROXY"},
    {"net.proxy-auth", ARC_E_AUTH, false,
     "the proxy wants credentials: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"},
    {"net.proxy-failed", ARC_E_UNAVAILABLE, true,
     "the proxy found no way to the service: try again; else ask those who "
     "run the proxy, or check NO_PROXY"},
    {"net.proxy-refused", ARC_E_DENIED, false,
     "ask those who run the proxy to allow CONNECT to port 443 of this host; "
     "docs/guide.md lists all hosts"},
    {"relay.bad-answer", ARC_E_PROTOCOL, false,
     "what answered is not an Azure Relay: look for a proxy in between"},
    {"relay.bad-credentials", ARC_E_CONFIG, false,
     "the credentials that ARM gave hold a value that cannot be sent"},
    {"relay.busy", ARC_E_UNAVAILABLE, true,
     "the relay is overloaded: try again later"},
    {"relay.denied", ARC_E_DENIED, false,
     "the relay refused fresh credentials: a firewall on the namespace, or a "
     "wrong clock"},
    {"relay.no-answer", ARC_E_TIMEOUT, true,
     "the relay did not answer in time: try again; check the network"},
    {"relay.no-endpoint", ARC_E_UNAVAILABLE, true,
     "the machine's agent has not registered with the relay yet: wait a "
     "minute; else restart its agent (himds)"},
    {"relay.no-listener", ARC_E_UNAVAILABLE, true,
     "the machine's agent is not connected to the relay: check that it runs, "
     "and `azcmagent config get incomingconnections.enabled`"},
    {"relay.rejected", ARC_E_REFUSED, false,
     "the machine's agent rejected the connection, as the message says"},
    {"relay.reset", ARC_E_CLOSED, false,
     "the connection broke: the agent, the relay or the network went away"},
    {"relay.server-error", ARC_E_UNAVAILABLE, true,
     "the relay failed on its side: try again later"},
    {"relay.sshd-refused", ARC_E_REFUSED, false,
     "the SSH server on the machine is not listening on this port: start "
     "sshd, or choose its port with --port"},
    {"relay.too-slow", ARC_E_UNAVAILABLE, true,
     "the machine's agent did not accept in time: try again"},
    {"sftp.changed", ARC_E_CONFLICT, false,
     "the file changed while it was copied: copy it again"},
    {"sftp.closed", ARC_E_CLOSED, true,
     "the SFTP server or the connection ended: try again"},
    {"sftp.denied", ARC_E_DENIED, false,
     "the login has no right to this: choose another user (-l) or place"},
    {"sftp.failure", ARC_E_IO, false,
     "the SFTP server gives no reason: a full disk, a quota, or something of "
     "another kind that is there already are the usual ones"},
    {"sftp.garbage", ARC_E_PROTOCOL, false,
     "the login's shell start-up files must print nothing when no terminal is "
     "there (~/.bashrc, ~/.profile)"},
    {"sftp.not-found", ARC_E_NOTFOUND, false,
     "check the path as the machine sees it; a relative one begins in the "
     "login's home"},
    {"sftp.protocol", ARC_E_PROTOCOL, false,
     "the SFTP server broke the protocol, as the message says"},
    {"sftp.too-many", ARC_E_LIMIT, false,
     "copy parts of the directory one after the other"},
    {"sftp.unavailable", ARC_E_REFUSED, false,
     "the SFTP server does not start there: see the line `Subsystem sftp` in "
     "the machine's sshd_config, and whether that program is installed"},
    {"sftp.unsupported", ARC_E_UNKNOWN, false,
     "the machine's SFTP server cannot do this"},
    {"sftp.version", ARC_E_PROTOCOL, false,
     "the machine's SFTP server is too old: version 3 is needed"},
    {"ssh.agent-failed", ARC_E_AUTH, false,
     "check the agent: SSH_AUTH_SOCK and `ssh-add -l`"},
    {"ssh.auth-refused", ARC_E_AUTH, false,
     "check the user (-l) and the key (-i); its public half must be in the "
     "machine's authorized_keys; a password is asked for at "
     "a terminal (exec and copy: --ask-pass)"},
    {"ssh.bad-key", ARC_E_CONFIG, false,
     "the identity file cannot be used, as the message says"},
    {"ssh.channel-limit", ARC_E_LIMIT, true,
     "the SSH server is short of resources: try again later"},
    {"ssh.channel-refused", ARC_E_REFUSED, false,
     "the SSH server refused another session: see MaxSessions in its "
     "sshd_config"},
    {"ssh.closed", ARC_E_CLOSED, true,
     "the SSH server or the network ended the connection: try again; a busy "
     "server (MaxStartups) or one that has banned this address does so too"},
    {"ssh.command-failed", ARC_E_UNKNOWN, false,
     "look at the command's own output: it ran and said no"},
    {"ssh.forward-denied", ARC_E_DENIED, false,
     "the jump host's sshd forbids it: see AllowTcpForwarding and PermitOpen "
     "in "
     "its sshd_config, and `restrict` in authorized_keys"},
    {"ssh.forward-failed", ARC_E_REFUSED, false,
     "the jump host does not reach the target: check name and port as seen "
     "from there"},
    {"ssh.forward-unknown", ARC_E_REFUSED, false,
     "the SSH server knows no forwarding: use another jump host"},
    {"ssh.hostkey-changed", ARC_E_HOSTKEY, false,
     "if the machine was really rebuilt, remove the old key with the "
     "ssh-keygen -R command in the message"},
    {"ssh.hostkey-revoked", ARC_E_HOSTKEY, false,
     "known_hosts marks this key as revoked: do not connect"},
    {"ssh.hostkey-unknown", ARC_E_HOSTKEY, false,
     "compare the fingerprint with the machine's (ssh-keygen -l -f "
     "/etc/ssh/ssh_host_ed25519_key.pub) and add the plain key to known_hosts "
     "(ssh-keyscan), or use the policy accept-new"},
    {"ssh.keepalive", ARC_E_CLOSED, true,
     "the machine or the network stopped answering: see whether it is up, then "
     "try again"},
    {"ssh.kex", ARC_E_PROTOCOL, false,
     "client and server share no algorithm, as the message says"},
    {"ssh.listen-refused", ARC_E_DENIED, false,
     "the port may be in use there, below 1024 and not for this user, or "
     "forwarding forbidden (AllowTcpForwarding, GatewayPorts)"},
    {"ssh.lost", ARC_E_CLOSED, false,
     "the connection was lost; whether the command ran to its end is unknown"},
    {"ssh.no-banner", ARC_E_TIMEOUT, true,
     "something accepts connections but does not speak SSH: check sshd and "
     "the port"},
    {"ssh.no-identity", ARC_E_AUTH, false,
     "name a key with -i, or start an SSH agent that holds one"},
    {"ssh.no-subsystem", ARC_E_REFUSED, false,
     "the SSH server offers no such subsystem: for copying, its sshd_config "
     "needs a line like `Subsystem sftp internal-sftp`"},
    {"ssh.protocol", ARC_E_PROTOCOL, false,
     "the SSH server broke the protocol, as the message says"},
    {"ssh.too-many-keys", ARC_E_AUTH, false,
     "name the right key with -i, and -o IdentitiesOnly=yes keeps the agent's "
     "other keys back"},
    {"tls.expired", ARC_E_TLS, false,
     "the server's certificate has expired, or this machine's clock is wrong"},
    {"tls.failed", ARC_E_TLS, false,
     "client and server did not come to terms, as the message says: look for "
     "a proxy or firewall in between"},
    {"tls.not-yet-valid", ARC_E_TLS, false,
     "set this machine's clock: it is probably behind"},
    {"tls.too-old", ARC_E_TLS, false,
     "Azure speaks TLS 1.2 and 1.3: look for an old proxy or firewall in "
     "between"},
    {"tls.untrusted", ARC_E_TLS, false,
     "the certificate is signed by an unknown authority: a TLS-inspecting "
     "proxy? Add its authority with SSL_CERT_FILE"},
    {"tls.wrong-name", ARC_E_TLS, false,
     "the certificate is for another host: a proxy or wrong address"},
};

const size_t arc_reasons_count = sizeof arc_reasons / sizeof *arc_reasons;

const struct arc_reason *arc_reason_find(const char *name) {
  size_t low = 0;
  size_t high = arc_reasons_count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    int order = strcmp(name, arc_reasons[mid].name);
    if (!order) {
      return &arc_reasons[mid];
    }
    if (order < 0) {
      high = mid;
    } else {
      low = mid + 1;
    }
  }
  return NULL;
}
