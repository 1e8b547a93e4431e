/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "inspect_parts.h"

#include <sys/xattr.h>

/* Names of xaasfs(1), PORTABLE OBJECTS. */
#define PREFIX "user.xaasfs."

static char *read_value(int fd, const char *name)
{
        char attribute[64];
        snprintf(attribute, sizeof attribute, PREFIX "%s", name);
        ssize_t size = fgetxattr(fd, attribute, NULL, 0);
        if (size < 0)
                return NULL;
        /* It may have grown meanwhile: then there is none. */
        char *value = calloc(1, (size_t)size + 1);
        if (value && fgetxattr(fd, attribute, value, (size_t)size) < 0)
                free(steal_pointer(&value));
        return value;
}

int inspect_mounted(int fd, json_t *object)
{
        static const char *const names[] = {"state", "policy", "key", "opens"};
        json_t *mounted = json_object();
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                _cleanup_free_ char *value = read_value(fd, names[i]);
                if (value)
                        json_object_set_new(mounted, names[i], json_string(value));
        }
        if (!json_object_get(mounted, "state")) {
                json_decref(mounted);
                return -ENODATA;
        }
        json_object_set_new(object, "kind", json_string("mounted"));
        json_object_set_new(object, "mounted", mounted);
        return 0;
}
