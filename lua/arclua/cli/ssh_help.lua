-- SPDX-License-Identifier: MIT
return { text = "" }
