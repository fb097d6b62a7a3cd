/* SPDX-License-Identifier: MIT */
#include "azure/expiry.h"

#include <curl/curl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "azure/json.h"

static const double seconds_max = 253402300799.0; /* the year 9999 */

/* Only a fraction and a mark of UTC may follow. */
static bool rest_is_utc(const char *rest) {
  if (*rest == '.') {
    rest++;
    rest += strspn(rest, "0123456789");
  }
  rest += *rest == ' ';
  return !strcmp(rest, "Z") || !strcmp(rest, "+00:00");
}

static bool rest_is_fraction(const char *rest) {
  return !*rest || (*rest == '.' && !rest[1 + strspn(rest + 1, "0123456789")]);
}

static bool as_utc(const char *text, const char *format, double *when) {
  struct tm tm = {0};
  const char *rest = strptime(text, format, &tm);
  if (!rest || !rest_is_utc(rest)) {
    return false;
  }
  *when = (double)timegm(&tm);
  return true;
}

static bool as_local(const char *text, double *when) {
  struct tm tm = {.tm_isdst = -1};
  const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
  if (!rest || !rest_is_fraction(rest)) {
    return false;
  }
  tm.tm_isdst = -1;
  *when = (double)mktime(&tm);
  return true;
}

bool arc_expiry_text(const char *text, double *when) {
  if (as_utc(text, "%Y-%m-%dT%H:%M:%S", when) || as_local(text, when) ||
      as_utc(text, "%m/%d/%Y %I:%M:%S %p", when) ||
      as_utc(text, "%m/%d/%Y %H:%M:%S", when)) {
    return *when >= 0 && *when <= seconds_max;
  }
  time_t date = curl_getdate(text, NULL);
  *when = (double)date;
  return date >= 0;
}

static bool read_in(const json_t *answer, double now, double *when) {
  double in = 0;
  if (!arc_json_seconds(json_object_get(answer, "expires_in"), &in) ||
      in <= 0 || in > INT32_MAX) {
    return false;
  }
  *when = now + in;
  return true;
}

static bool read_on(const json_t *answer, const char *key, double *when) {
  const json_t *value = json_object_get(answer, key);
  if (arc_json_seconds(value, when)) {
    return *when <= seconds_max;
  }
  const char *text = arc_json_text(answer, key);
  return text && arc_expiry_text(text, when);
}

bool arc_expiry_read(const json_t *answer, double now, bool prefer_on,
                     double *when) {
  return (!prefer_on && read_in(answer, now, when)) ||
         read_on(answer, "expires_on", when) ||
         read_on(answer, "expiresOn", when) || read_in(answer, now, when);
}
