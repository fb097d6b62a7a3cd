// SPDX-License-Identifier: MIT
// node --require: names below .localhost are this machine (RFC 6761); not every resolver knows.
const dns = require("node:dns");
const { lookup } = dns;

dns.lookup = (name, options, done) => {
  if (!name.endsWith(".localhost")) return lookup(name, options, done);
  const callback = done ?? options;
  return options.all
    ? callback(null, [{ address: "127.0.0.1", family: 4 }])
    : callback(null, "127.0.0.1", 4);
};
