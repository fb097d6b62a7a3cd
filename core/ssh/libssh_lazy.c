/* SPDX-License-Identifier: MIT */
/* libssh, loaded at its first call: with Kerberos behind it, it is a fifth of
 * the time that a script needs to start. */
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "util/lazy.h"

ARC_LAZY("libssh.so.4")

FORWARD(int, ssh_channel_close, (ssh_channel channel), (channel), SSH_ERROR)
FORWARD_VOID(ssh_channel_free, (ssh_channel channel), (channel))
FORWARD(ssh_channel, ssh_channel_new, (ssh_session session), (session), NULL)
FORWARD(int, ssh_channel_open_forward,
        (ssh_channel channel, const char *remotehost, int remoteport,
         const char *sourcehost, int localport),
        (channel, remotehost, remoteport, sourcehost, localport), SSH_ERROR)
FORWARD(int, ssh_channel_open_session, (ssh_channel channel), (channel),
        SSH_ERROR)
FORWARD(int, ssh_channel_read_nonblocking,
        (ssh_channel channel, void *dest, uint32_t count, int is_stderr),
        (channel, dest, count, is_stderr), SSH_ERROR)
FORWARD(int, ssh_channel_request_env,
        (ssh_channel channel, const char *name, const char *value),
        (channel, name, value), SSH_ERROR)
FORWARD(int, ssh_channel_request_exec, (ssh_channel channel, const char *cmd),
        (channel, cmd), SSH_ERROR)
FORWARD(int, ssh_channel_request_pty_size,
        (ssh_channel channel, const char *term, int cols, int rows),
        (channel, term, cols, rows), SSH_ERROR)
FORWARD(int, ssh_channel_request_subsystem,
        (ssh_channel channel, const char *subsys), (channel, subsys), SSH_ERROR)
FORWARD(int, ssh_channel_request_send_signal,
        (ssh_channel channel, const char *signum), (channel, signum), SSH_ERROR)
FORWARD(int, ssh_channel_send_eof, (ssh_channel channel), (channel), SSH_ERROR)
FORWARD(uint32_t, ssh_channel_window_size, (ssh_channel channel), (channel), 0)
FORWARD(int, ssh_channel_write,
        (ssh_channel channel, const void *data, uint32_t len),
        (channel, data, len), SSH_ERROR)
FORWARD(int, ssh_connect, (ssh_session session), (session), SSH_ERROR)
FORWARD_VOID(ssh_disconnect, (ssh_session session), (session))
FORWARD(int, ssh_event_add_session, (ssh_event event, ssh_session session),
        (event, session), SSH_ERROR)
FORWARD(int, ssh_event_dopoll, (ssh_event event, int timeout), (event, timeout),
        SSH_ERROR)
FORWARD_VOID(ssh_event_free, (ssh_event event), (event))
FORWARD(ssh_event, ssh_event_new, (void), (), NULL)
FORWARD(int, ssh_event_remove_session, (ssh_event event, ssh_session session),
        (event, session), SSH_ERROR)
FORWARD_VOID(ssh_free, (ssh_session session), (session))
FORWARD(const char *, ssh_get_error, (void *error), (error),
        "libssh.so.4 cannot be loaded")
FORWARD(socket_t, ssh_get_fd, (ssh_session session), (session),
        SSH_INVALID_SOCKET)
FORWARD(char *, ssh_get_issue_banner, (ssh_session session), (session), NULL)
FORWARD(int, ssh_get_poll_flags, (ssh_session session), (session), SSH_ERROR)
FORWARD(int, ssh_get_server_publickey, (ssh_session session, ssh_key *key),
        (session, key), SSH_ERROR)
FORWARD(const char *, ssh_get_serverbanner, (ssh_session session), (session),
        NULL)
FORWARD(int, ssh_get_status, (ssh_session session), (session), SSH_ERROR)
FORWARD(int, ssh_is_connected, (ssh_session session), (session), 0)
FORWARD(ssh_key, ssh_key_dup, (ssh_key key), (key), NULL)
FORWARD_VOID(ssh_key_free, (ssh_key key), (key))
FORWARD(enum ssh_keytypes_e, ssh_key_type_from_name, (const char *name), (name),
        SSH_KEYTYPE_UNKNOWN)
FORWARD(ssh_session, ssh_new, (void), (), NULL)
FORWARD(int, ssh_options_set,
        (ssh_session session, enum ssh_options_e type, const void *value),
        (session, type, value), SSH_ERROR)
FORWARD(int, ssh_pki_copy_cert_to_privkey, (ssh_key cert_key, ssh_key privkey),
        (cert_key, privkey), SSH_ERROR)
FORWARD(int, ssh_pki_export_privkey_base64,
        (ssh_key privkey, const char *passphrase, ssh_auth_callback auth_fn,
         void *auth_data, char **b64_key),
        (privkey, passphrase, auth_fn, auth_data, b64_key), SSH_ERROR)
FORWARD(int, ssh_pki_export_pubkey_base64, (ssh_key key, char **b64_key),
        (key, b64_key), SSH_ERROR)
FORWARD(int, ssh_pki_generate,
        (enum ssh_keytypes_e type, int parameter, ssh_key *pkey),
        (type, parameter, pkey), SSH_ERROR)
FORWARD(int, ssh_pki_import_cert_base64,
        (const char *b64_cert, enum ssh_keytypes_e type, ssh_key *pkey),
        (b64_cert, type, pkey), SSH_ERROR)
FORWARD(int, ssh_pki_import_privkey_base64,
        (const char *b64_key, const char *passphrase, ssh_auth_callback auth_fn,
         void *auth_data, ssh_key *pkey),
        (b64_key, passphrase, auth_fn, auth_data, pkey), SSH_ERROR)
FORWARD(int, ssh_pki_import_pubkey_base64,
        (const char *b64_key, enum ssh_keytypes_e type, ssh_key *pkey),
        (b64_key, type, pkey), SSH_ERROR)
FORWARD(int, ssh_pki_import_pubkey_file, (const char *filename, ssh_key *pkey),
        (filename, pkey), SSH_ERROR)
FORWARD(int, ssh_remove_channel_callbacks,
        (ssh_channel channel, ssh_channel_callbacks cb), (channel, cb),
        SSH_ERROR)
FORWARD(int, ssh_send_keepalive, (ssh_session session), (session), SSH_ERROR)
FORWARD(int, ssh_set_agent_socket, (ssh_session session, socket_t fd),
        (session, fd), SSH_ERROR)
FORWARD_VOID(ssh_set_blocking, (ssh_session session, int blocking),
             (session, blocking))
FORWARD_VOID(ssh_set_counters,
             (ssh_session session, ssh_counter scounter, ssh_counter rcounter),
             (session, scounter, rcounter))
FORWARD(int, ssh_set_channel_callbacks,
        (ssh_channel channel, ssh_channel_callbacks cb), (channel, cb),
        SSH_ERROR)
FORWARD_VOID(ssh_string_free_char, (char *s), (s))
FORWARD(int, ssh_userauth_agent, (ssh_session session, const char *username),
        (session, username), SSH_ERROR)
FORWARD(int, ssh_userauth_kbdint,
        (ssh_session session, const char *user, const char *submethods),
        (session, user, submethods), SSH_ERROR)
FORWARD(const char *, ssh_userauth_kbdint_getinstruction, (ssh_session session),
        (session), NULL)
FORWARD(const char *, ssh_userauth_kbdint_getname, (ssh_session session),
        (session), NULL)
FORWARD(int, ssh_userauth_kbdint_getnprompts, (ssh_session session), (session),
        SSH_ERROR)
FORWARD(const char *, ssh_userauth_kbdint_getprompt,
        (ssh_session session, unsigned int i, char *echo), (session, i, echo),
        NULL)
FORWARD(int, ssh_userauth_kbdint_setanswer,
        (ssh_session session, unsigned int i, const char *answer),
        (session, i, answer), SSH_ERROR)
FORWARD(int, ssh_userauth_list, (ssh_session session, const char *username),
        (session, username), SSH_ERROR)
FORWARD(int, ssh_userauth_none, (ssh_session session, const char *username),
        (session, username), SSH_ERROR)
FORWARD(int, ssh_userauth_password,
        (ssh_session session, const char *username, const char *password),
        (session, username, password), SSH_ERROR)
FORWARD(int, ssh_userauth_publickey,
        (ssh_session session, const char *username, ssh_key privkey),
        (session, username, privkey), SSH_ERROR)
FORWARD(int, ssh_userauth_try_publickey, // NOLINTNEXTLINE: libssh's own const
        (ssh_session session, const char *username, const ssh_key pubkey),
        (session, username, pubkey), SSH_ERROR)
