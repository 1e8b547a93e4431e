/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) as the manifests use it, read from someone who may wish us ill.
 *
 * On top of what jansson refuses (invalid UTF-8, NUL in strings, trailing garbage): duplicate
 * keys, nesting deeper than 16, more than 2^22 values, and control characters in strings. The
 * canonical form is compact, has sorted keys, and escapes nothing but '"' and '\'. */
#ifndef FMT_JSON_H
#define FMT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FMT_JSON_MAX_SIZE ((size_t)64 << 20) /* bytes */

/* WHAT names the document in debug messages. -EBADMSG, -ENOMEM. The caller decrefs *ret. */
int fmt_json_parse(const void *data, size_t size, const char *what, json_t **ret);

/* The canonical form; the caller frees *ret_json. Takes no reference. */
int fmt_json_dump(const json_t *value, char **ret_json, size_t *ret_size);

/* Whether STRING may stand in a manifest: UTF-8 without control characters (a message that
 * shows it must not be able to drive a terminal). */
bool fmt_json_string_is_clean(const char *string);

/* A copy of the string, *ret NULL for NULL. 0 or -ENOMEM. */
int fmt_json_copy(const char *string, char **ret);

/* An array of strings, NULL meaning an empty one, as a NULL-terminated list that is never NULL.
 * -EBADMSG for anything else. */
int fmt_json_to_strings(const json_t *array, char ***ret);

/* The other way round. NULL on failure. */
json_t *fmt_json_of_strings(char *const *list);

static inline void fmt_json_decrefp(json_t **value)
{
        json_decref(*value);
}

#endif
