-- SPDX-License-Identifier: MIT
-- Windows-like machines: what cmd.exe and PowerShell answer over SSH, and that we speak to both.
local arc = require "arclua"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local emulator = require "arclua.emulator"
local harness = require "harness"
local program = require "program"
local quote = require "arclua.quote"

local with = emulated.spec

local MACHINES = { { name = "w", os = "windows" },
  { name = "p", os = "windows", shell = "powershell" } }

local UNKNOWN = "'nosuch' is not recognized as an internal or external command,\r\n"
  .. "operable program or batch file.\r\n"

-- Each row: line, status, stdout, and what is in stderr.
local function try(e, name, rows)
  local session <close> = assert(emulated.session(e, name))
  for _, row in ipairs(rows) do
    local result = assert(session:exec(row[1], { timeout = 20 }))
    assert.equal(row[3], result.stdout, row[1])
    assert.equal(row[2], result.status, row[1])
    assert.truthy(result.stderr:find(row[4] or "^$", 1, row[4] ~= nil), row[1] .. result.stderr)
  end
end

describe("emulator: a Windows-like machine", function()
  with("answers as cmd.exe does", { machines = MACHINES }, function(e)
    try(e, "w", {
      { "hostname", 0, "W\r\n" },
      { "whoami", 0, "w\\arc\r\n" },
      { "ver", 0, "\r\nMicrosoft Windows [Version 10.0.20348.2700]\r\n" },
      { "echo hi there", 0, "hi there\r\n" },
      { 'echo "a  b" & echo c^&d', 0, '"a  b"\r\nc&d\r\n' },
      { "echo %COMPUTERNAME% %NOPE%", 0, "W %NOPE%\r\n" },
      { "nosuch -x", 1, "", UNKNOWN },
      { "sh -c id", 1, "", "'sh' is not recognized" },
      { "nosuch || echo no", 0, "no\r\n", UNKNOWN },
      { "nosuch && echo no", 1, "", UNKNOWN },
      { "nosuch 2>nul", 1, "" },
      { "nosuch 2>&1 | findstr batch", 0, "operable program or batch file.\r\n" },
      { "exit 7", 7, "" }, { "exit /b 3 & echo no", 3, "" }, { "cmd /c exit 5", 5, "" },
      { "cd", 0, "C:\\Users\\arc\r\n" },
      { "echo one>a.txt && echo two>>a.txt & type a.txt", 0, "one\r\ntwo\r\n" },
      { "mkdir sub & cd sub & cd & dir /b ..", 0, "C:\\Users\\arc\\sub\r\na.txt\r\nsub\r\n" },
      { "cd C:\\Windows", 1, "", "cannot find the path" },
      { "type nothing", 1, "", "cannot find the file" },
      { "cd ..\\..\\..", 1, "", "cannot find the path" },
      { "set X=1 & set X", 0, "X=1 \r\n" },
      { "set NOPE", 1, "", "NOPE not defined" },
      { "timeout /t 1", 1, "", "Input redirection is not supported" },
      { "echo one | find \"two\"", 1, "" },
      { "del a.txt & rem gone & dir /b", 0, "sub\r\n" },
      { "sc query nothing", 36, "[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\r\n\r\nThe "
        .. "specified service does not exist as an installed service.\r\n\r\n" },
    })
    local home = e:home "w"
    assert.truthy(core.sys.stat(home .. "/sub"))
    assert.is_true(#e:sessions "w" > 20)
  end)

  with("answers as PowerShell does", { machines = MACHINES }, function(e)
    local inside = [[powershell -NoProfile -Command "Write-Output 'a b'; exit 4"]]
    try(e, "w", { { inside, 4, "a b\r\n" } })
    try(e, "p", {
      { "$env:COMPUTERNAME", 0, "P\r\n" },
      { "Write-Output 'it''s' $HOME; echo \"$env:OS`tx $(hostname)\"", 0,
        "it's\r\n\r\nWindows_NT\tx P\r\n" },
      { "Write-Error oops; exit 3", 3, "", "Write-Error : oops" },
      { "nosuch -x", 1, "", "The term 'nosuch' is not recognized as the name of a cmdlet" },
      { "echo a && echo b", 1, "", "The token '&&' is not a valid statement separator" },
      { "cmd /c exit 5", 1, "" }, { "cmd /c exit 5; exit $LASTEXITCODE", 5, "" },
      { "$x = 'yes'; if ($x -eq 'YES') { echo $x } else { echo no }", 0, "yes\r\n" },
      { "if (!$?) { echo a } elseif ($null -ne $LASTEXITCODE) { echo b } else { echo c }", 0,
        "c\r\n" },
      { "Set-Content f.txt 'text'; Get-Content f.txt; Get-ChildItem", 0,
        "text\r\n-a---- f.txt\r\n" },
      { "Get-Content nothing", 1, "", "does not exist" },
      { "Get-Service nothing", 1, "", "Cannot find any service" },
      { "Set-Location C:\\Windows", 1, "", "Cannot find path" },
      { "(Get-Date -Format yyyy) | Out-Null; $PSVersionTable.PSVersion", 0, "5.1.20348.2700\r\n" },
      { "sh", 1, "", "'sh' is not recognized" },
    })
  end)

  with("gets several words as they were written, whatever its shell", { machines = MACHINES },
    function(e)
    local words = { "Write-Output", "a b", "it's", "$HOME", "%PATH%", '"q"', "é\u{1F600}", "a&b|c",
      "" }
    local said = "a b\r\nit's\r\n$HOME\r\n%PATH%\r\n\"q\"\r\né\u{1F600}\r\na&b|c\r\n\r\n"
    for _, name in ipairs { "w", "p" } do
      try(e, name, { { quote.line(words, "windows"), 0, said },
        { quote.line({ "nosuch", "x" }, "windows"), 1, "", "'nosuch' is not recognized" },
        { quote.line({ "Get-Service", "-Name", "nothing" }, "windows"), 1, "", "Cannot find" } })
    end
    -- PowerShell as the login's shell makes every failure a 1.
    try(e, "w", { { quote.line({ "cmd", "/c", "exit 9" }, "windows"), 9, "" } })
    try(e, "p", { { quote.line({ "cmd", "/c", "exit 9" }, "windows"), 1, "" } })
  end)

  with("converses with a prompt", { machines = MACHINES }, function(e)
    for name, prompt in pairs { w = "C:\\Users\\arc>", p = "PS C:\\Users\\arc> " } do
      assert(e:home(name))
      local shell <close> = assert(core.process.spawn { args = { e:machine(name).dir .. "/shell" },
        clear_env = true, env = { PATH = "/bin:/usr/bin", ARC_MACHINE = name, HOME = e:home(name) },
        stdin = "pipe", stderr = "null" })
      local input, output <close> = shell:stdin(), shell:stdout()
      input:write "hostname\r\nnosuch\r\nexit 4\r\n"
      input:close()
      local text = harness.drain(output)
      assert.truthy(text:find(prompt .. name:upper() .. "\r\n", 1, true), text)
      assert.equal(3, select(2, text:gsub(prompt:gsub("%p", "%%%0"), "")))
      assert.equal(4, shell:wait().status)
    end
  end)

  with("has a terminal's ends of lines on a terminal", { machines = MACHINES }, function(e)
    local session <close> = assert(emulated.session(e, "w"))
    local result = assert(session:exec("hostname & timeout /t 0 & cd nope", { pty = true }))
    assert.equal("W\r\nThe system cannot find the path specified.\r\n", result.stdout)
  end)

  with("lets no signal end a command, and says so", { machines = MACHINES }, function(e)
    local session <close> = assert(emulated.session(e, "w"))
    local result = assert(session:exec("ping -n 20 localhost", { timeout = 0.5 }))
    assert.equal("timeout", result.state)
    assert.equal("unconfirmed", result.ended)
  end)

  with("serves files", { machines = MACHINES }, function(e)
    local session <close> = assert(emulated.session(e, "w"))
    local result = assert(session:exec "internal-sftp") -- what sshd makes of the subsystem
    assert.equal("", result.stderr)
  end)

  with("is one of an estate", { machines = 1, windows = 1 }, function(e)
    local spec = { cloud = assert(clouds.load(e.cloud)), tenant = e.env.AZURE_TENANT_ID,
      client_id = e.env.AZURE_CLIENT_ID, client_secret = e.env.AZURE_CLIENT_SECRET }
    local az = assert(arc.login { cloud = e.cloud, config = "none",
      credential = assert(arc.credential.client_secret(spec)),
      known_hosts = e.env.ARCLUA_KNOWN_HOSTS, subscription = e.state.subscriptions[1].id })
    local machines = assert(az:machines {})
    local function run(command)
      local out = {}
      local report = assert(arc.fleet(machines, { user = e.env.ARCLUA_USER, agent = false,
        identity = e.env.ARCLUA_IDENTITY }):exec(command))
      for _, result in ipairs(report.results) do
        out[result.name] = result.stdout
        assert.equal("ok", result.state, result.stderr)
      end
      return out
    end
    assert.same({ ["web-01"] = "a  b $c\n", ["win-01"] = "a  b $c\r\n" },
      run { "echo", "a  b $c" })
    assert.equal("WIN-01\r\n", run("hostname")["win-01"])
    assert.equal(1, #assert(az:machines { os = "windows" }))
  end)

  it("needs no Lua file beside the program, which may stand in a private directory", function()
    local private = assert(core.sys.mkdtemp "arclua-spec-")
    local copy = private .. "/arclua"
    assert(core.sys.write_file(copy, assert(core.sys.read_file(program.path, 1 << 30)), 448))
    for _, path in ipairs { program.path, copy } do
      local ended = program.start({ "emulator", "--machines", "1", "--windows", "1", "--",
        program.path, "exec", "--all", "-o", "jsonl", "--", "echo", "a  b" },
        { env = { LUA_PATH = "/nowhere/?.lua", ARCLUA_CONFIG = "none" }, path = path }):wait()
      assert.equal(0, ended.status, ended.err .. ended.out)
      assert.truthy(ended.out:find('"stdout":"a  b\\r\\n"', 1, true), ended.out)
      assert.truthy(ended.out:find('"stdout":"a  b\\n"', 1, true), ended.out)
    end
    core.sys.remove(private)
    assert.equal("", harness.leftovers())
  end)

  it("has a shell of two", function()
    for _, machine in ipairs { { name = "a", os = "windows", shell = "fish" },
      { name = "a", shell = "cmd" } } do
      assert.has_error(function() emulator.start { machines = { machine } } end)
    end
  end)
end)
