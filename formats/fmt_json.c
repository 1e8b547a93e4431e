/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_json.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"

#include <string.h>

#define MAX_DEPTH 16
#define MAX_VALUES (1u << 22)

/* One pass over the text before any memory is spent on it: how deep, and about how many values
 * (each but the first follows a bracket, a colon or a comma). */
static bool shape_is_modest(const char *text, size_t size)
{
        unsigned depth = 0;
        unsigned values = 0;
        bool in_string = false;

        for (size_t i = 0; i < size; i++) {
                char c = text[i];
                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                        continue;
                }
                if (c == '"')
                        in_string = true;
                else if (c == '[' || c == '{') {
                        if (++depth > MAX_DEPTH || ++values > MAX_VALUES)
                                return false;
                } else if ((c == ']' || c == '}') && depth > 0)
                        depth--;
                else if (c == ',' && ++values > MAX_VALUES)
                        return false;
        }
        return true;
}

static bool strings_are_clean(const json_t *value)
{
        const json_t *item;
        size_t index;
        const char *key;

        switch (json_typeof(value)) {
        case JSON_STRING:
                return fmt_json_string_is_clean(json_string_value(value));
        case JSON_ARRAY:
                json_array_foreach (value, index, item) {
                        if (!strings_are_clean(item))
                                return false;
                }
                return true;
        case JSON_OBJECT:
                json_object_foreach ((json_t *)value, key, item) {
                        if (!fmt_json_string_is_clean(key) || !strings_are_clean(item))
                                return false;
                }
                return true;
        default:
                return true;
        }
}

int fmt_json_parse(const void *data, size_t size, const char *what, json_t **ret)
{
        json_error_t error;

        if (size > FMT_JSON_MAX_SIZE || !shape_is_modest(data, size)) {
                fmt_debug("%s: larger or deeper than any that was written by pack", what);
                return -EBADMSG;
        }
        json_t *value = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
        if (!value) {
                fmt_debug("%s: no JSON at byte %d: %s", what, error.position, error.text);
                return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
        }
        if (!strings_are_clean(value)) {
                fmt_debug("%s: control character in a string", what);
                json_decref(value);
                return -EBADMSG;
        }
        *ret = value;
        return 0;
}

int fmt_json_dump(const json_t *value, char **ret_json, size_t *ret_size)
{
        char *text;

        if (!value)
                return -EINVAL;
        text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        if (!text)
                return -ENOMEM;
        *ret_json = text;
        *ret_size = strlen(text);
        return 0;
}

/* jansson has seen to it that what it holds is UTF-8; what comes from elsewhere is checked when
 * it is given to jansson. C0, DEL and C1 (U+0080 to U+009F, 0xc2 0x80 to 0xc2 0x9f). */
bool fmt_json_string_is_clean(const char *string)
{
        const unsigned char *at = (const unsigned char *)string;

        for (; *at; at++)
                if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f))
                        return false;
        return true;
}

int fmt_json_copy(const char *string, char **ret)
{
        *ret = string ? strdup(string) : NULL;
        return string && !*ret ? -ENOMEM : 0;
}

int fmt_json_to_strings(const json_t *array, char ***ret)
{
        size_t count = json_array_size(array);
        const json_t *item;
        size_t index;

        if (array && !json_is_array(array))
                return -EBADMSG;
        char **list = calloc(count + 1, sizeof *list);
        if (!list)
                return -ENOMEM;
        json_array_foreach (array, index, item) {
                if (!json_is_string(item)) {
                        fmt_strings_free(list);
                        return -EBADMSG;
                }
                list[index] = strdup(json_string_value(item));
                if (!list[index]) {
                        fmt_strings_free(list);
                        return -ENOMEM;
                }
        }
        *ret = list;
        return 0;
}

json_t *fmt_json_of_strings(char *const *list)
{
        json_t *array = json_array();

        for (size_t i = 0; array && list && list[i]; i++)
                if (json_array_append_new(array, json_string(list[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}
