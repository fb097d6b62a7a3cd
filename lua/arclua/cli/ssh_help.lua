-- SPDX-License-Identifier: MIT
-- The help of `arclua ssh`, whose options are read as ssh reads its own.
return { text = [[
Usage: arclua ssh [options] [USER@]MACHINE [COMMAND...]

A shell, a command or tunnels on one machine. MACHINE is NAME, RG/NAME, SUBSCRIPTION/RG/NAME, a
resource ID or NAME.RG.SUB.arc. Options are ssh's, also after MACHINE; COMMAND begins with the
first word that is none. Without COMMAND it is a shell.

As ssh has them:
  -l USER           User to log in as (ARCLUA_USER)
  -i FILE           Private key file (ARCLUA_IDENTITY)
  -p PORT           SSH port (default: the configured one)
  -F FILE           Read FILE instead of ~/.ssh/config; none: nothing
  -J DEST[,DEST]    Jump hosts on the way to a host (--direct)
  -o KEYWORD=VALUE  A line of ssh_config
  -t, -tt, -T       Ask for a terminal; also without one here; never
  -e CHAR           Escape character (~), ^ and a letter, or none
  -n                Read nothing from standard input
  -s                COMMAND is a subsystem
  -A, -a            Let the machine use the SSH agent; do not
  -f                Go to the background once connected
  -q, -v, -E FILE   Say less; more (-vv, -vvv); the log into FILE
  -V                The version

Forwarding:
  -L [ADDRESS:]PORT:HOST:PORT   Listen here, connect from the machine
  -R [ADDRESS:]PORT:HOST:PORT   Listen on the machine, connect from here
  -D [ADDRESS:]PORT             Listen here for SOCKS 4, 4a and 5
  -W HOST:PORT                  Connect standard input and output
  -g                            Listen on all addresses
  -N                            No shell and no command
  --reconnect                   Connect again when a tunnel is lost
  --rdp                         A tunnel to port 3389, and a client of Remote Desktop
  --while CMD [ARG...]          Run a program here while the tunnel stands (last on the line)
  PORT 0 is a free one, which is said. A path in place of ADDRESS:PORT or HOST:PORT is a socket.

As az has them:
  --name NAME, --resource-group RG, --resource-type TYPE, --local-user USER,
  --private-key-file FILE, --certificate-file FILE, --port N, --yes

And:
  --entra                       With a certificate of Entra's, as the user it names
  --direct                      MACHINE is a host [USER@]HOST[:PORT], reached without Azure
  --connect-timeout DURATION    Until logged in (60s; 180s after a change of ours)
  --enable                      Set the machine up for SSH where that is missing
  --replace                     With --enable and -p: change the port for all users
  --try-disconnected            Dial a machine whose agent is not connected
  and the global options: arclua help

Escape sequences, after a newline: ~. ends the connection, ~^Z suspends, ~# lists forwarded
connections, ~? lists all. The exit status is the command's, 255 where the failure is ours.
]] }
