-- SPDX-License-Identifier: MIT
---@meta arclua.host
-- What only the program has (core/host/main.c).

local host = {}

--- From now on Ctrl-C cancels this task, and the program goes on; one that came before was for
--- the task before. Twice within two seconds leaves as ever.
---@param task arclua.Task
function host.interrupt_to(task) end

return host
