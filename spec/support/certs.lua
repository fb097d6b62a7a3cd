-- SPDX-License-Identifier: MIT
-- Certificates of every kind, made by openssl: expired, for other names, by whatever issuer.
local certs = {}

local CONFIG = [[
[ca]
default_ca = d
[d]
database = %s/index.txt
new_certs_dir = %s
rand_serial = yes
default_md = sha256
policy = p
copy_extensions = copy
unique_subject = no
[p]
commonName = supplied
organizationName = optional
]]

local function sh(command, ...)
  local ran, _, status = os.execute(command:format(...) .. " 2>/dev/null")
  assert(ran, "openssl failed: " .. tostring(status))
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

--- A directory with an authority in it: { dir, ca (path) }. subject: "/CN=…/O=…".
function certs.authority(subject)
  local dir = os.tmpname()
  os.remove(dir)
  sh("mkdir -m 700 %s", dir)
  write(dir .. "/index.txt", "")
  write(dir .. "/conf", CONFIG:format(dir, dir))
  sh("openssl req -x509 %s -utf8 -days 2 -subj '%s' -keyout %s/ca.key -out %s/ca.pem", KEY,
    subject, dir, dir)
  return { dir = dir, ca = dir .. "/ca.pem" }
end

--- A certificate and its key: two paths. opts: names ("DNS:a,DNS:b"), from and to
--- ("20200101000000Z"), self_signed.
function certs.issue(authority, opts)
  local stem = ("%s/%d"):format(authority.dir, (authority.count or 0))
  authority.count = (authority.count or 0) + 1
  local request = ("openssl req %s -subj '/CN=a server' -addext 'subjectAltName=%s' -keyout %s.key")
    :format(KEY, opts.names, stem)
  if opts.self_signed then
    sh("%s -x509 -days 2 -out %s.pem", request, stem)
  else
    sh("%s -new -out %s.csr", request, stem)
    sh("openssl ca -batch -notext -config %s/conf -cert %s/ca.pem -keyfile %s/ca.key " ..
      "-in %s.csr -out %s.pem -startdate %s -enddate %s", authority.dir, authority.dir,
      authority.dir, stem, stem, opts.from or "20200101000000Z", opts.to or "21200101000000Z")
  end
  return stem .. ".pem", stem .. ".key"
end

function certs.remove(authority)
  sh("rm -rf %s", authority.dir)
end

return certs
