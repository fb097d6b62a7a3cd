-- SPDX-License-Identifier: MIT
---@meta arclua.host
-- What only the program has (core/host/main.c).

local host = {}

--- From now on Ctrl-C cancels this task, and the program goes on; one that came before was for
--- the task before. Twice within two seconds leaves as ever.
---@param task arclua.Task
function host.interrupt_to(task) end

--- Whether Ctrl-C is for us; off, it is for the program alone that we wait for.
---@param on boolean
function host.interrupts(on) end

--- Whether a SIGHUP ends the program; nohup says no.
---@return boolean
function host.hangs_up() end

--- Waits for a signal about the terminal: "WINCH" (its size has changed), "CONT" (we were stopped, and go on). From the
--- first call on the program puts a raw terminal back when it is stopped or killed.
---@return "WINCH"|"CONT"|nil, arclua.Error?
function host.terminal_signal() end

--- Stops the program as Ctrl-Z would; returns when it goes on.
function host.suspend() end

--- Goes to the background: the process that was started ends well, a child of it returns from here, in a session of its own
--- and without standard input. quiet: also without output.
---@param quiet boolean?
---@return true|nil, arclua.Error?
function host.background(quiet) end

return host
