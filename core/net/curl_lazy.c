/* SPDX-License-Identifier: MIT */
/* libcurl, loaded at its first call: it and the thirty libraries behind it
 * cost several milliseconds, too much for a program that never dials. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdarg.h>

#include "util/lazy.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

ARC_LAZY("libcurl.so.4")

/* Option functions take one more argument: a long, a pointer or a curl_off_t,
 * all of which travel as one register on the LP64 systems that we serve. */
#define FORWARD_OPTION(RESULT, NAME, HANDLE, OPTION, FAILED)                   \
  RESULT NAME(HANDLE *handle, OPTION option, ...) {                            \
    static RESULT (*real)(HANDLE *, OPTION, ...);                              \
    if (!real) {                                                               \
      *(void **)&real = find(#NAME);                                           \
    }                                                                          \
    va_list args;                                                              \
    va_start(args, option);                                                    \
    void *value = va_arg(args, void *);                                        \
    va_end(args);                                                              \
    return real ? real(handle, option, value) : (FAILED);                      \
  }
_Static_assert(sizeof(long) == sizeof(void *) &&
                   sizeof(curl_off_t) == sizeof(void *),
               "an LP64 system");

FORWARD(CURLcode, curl_global_init_mem,
        (long flags, curl_malloc_callback m, curl_free_callback f,
         curl_realloc_callback r, curl_strdup_callback s,
         curl_calloc_callback c),
        (flags, m, f, r, s, c), CURLE_FAILED_INIT)
FORWARD_VOID(curl_global_cleanup, (void), ())
FORWARD(curl_version_info_data *, curl_version_info, (CURLversion age), (age),
        NULL)
FORWARD(CURL *, curl_easy_init, (void), (), NULL)
FORWARD_VOID(curl_easy_cleanup, (CURL * curl), (curl))
FORWARD_OPTION(CURLcode, curl_easy_setopt, CURL, CURLoption, CURLE_FAILED_INIT)
FORWARD_OPTION(CURLcode, curl_easy_getinfo, CURL, CURLINFO, CURLE_FAILED_INIT)
FORWARD(const char *, curl_easy_strerror, (CURLcode code), (code),
        "libcurl.so.4 cannot be loaded")
FORWARD(CURLcode, curl_easy_recv,
        (CURL * curl, void *to, size_t size, size_t *n), (curl, to, size, n),
        CURLE_FAILED_INIT)
FORWARD(CURLcode, curl_easy_send,
        (CURL * curl, const void *from, size_t size, size_t *n),
        (curl, from, size, n), CURLE_FAILED_INIT)
FORWARD(CURLM *, curl_multi_init, (void), (), NULL)
FORWARD(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi),
        CURLM_INTERNAL_ERROR)
FORWARD_OPTION(CURLMcode, curl_multi_setopt, CURLM, CURLMoption,
               CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *curl),
        (multi, curl), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL *curl),
        (multi, curl), CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_assign,
        (CURLM * multi, curl_socket_t fd, void *data), (multi, fd, data),
        CURLM_INTERNAL_ERROR)
FORWARD(CURLMcode, curl_multi_socket_action,
        (CURLM * multi, curl_socket_t fd, int events, int *running),
        (multi, fd, events, running), CURLM_INTERNAL_ERROR)
FORWARD(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left),
        (multi, left), NULL)
FORWARD(const char *, curl_multi_strerror, (CURLMcode code), (code),
        "libcurl.so.4 cannot be loaded")
FORWARD(struct curl_slist *, curl_slist_append,
        (struct curl_slist * list, const char *text), (list, text), NULL)
FORWARD_VOID(curl_slist_free_all, (struct curl_slist * list), (list))
FORWARD_VOID(curl_free, (void *memory), (memory))
FORWARD(time_t, curl_getdate, (const char *text, const time_t *now),
        (text, now), -1)
FORWARD(CURLU *, curl_url, (void), (), NULL)
FORWARD_VOID(curl_url_cleanup, (CURLU * url), (url))
FORWARD(CURLUcode, curl_url_get,
        (CURLU * url, CURLUPart part, char **text, unsigned flags),
        (url, part, text, flags), CURLUE_OUT_OF_MEMORY)
FORWARD(CURLUcode, curl_url_set,
        (CURLU * url, CURLUPart part, const char *text, unsigned flags),
        (url, part, text, flags), CURLUE_OUT_OF_MEMORY)
FORWARD(const char *, curl_url_strerror, (CURLUcode code), (code),
        "libcurl.so.4 cannot be loaded")
