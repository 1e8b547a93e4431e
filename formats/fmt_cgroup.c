/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cgroup.h"

#include "fmt_cleanup.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* Where a hierarchy is mounted, and which of its folders is visible there: "/" but for containers.
 */
struct mount {
        char root[PATH_MAX];
        char folder[PATH_MAX];
};

/* Whether LIST, separated by commas, has WORD. */
static bool lists(const char *list, const char *word)
{
        const size_t length = strlen(word);
        for (const char *at = list; (at = strstr(at, word)); at += length)
                if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
                        return true;
        return false;
}

/* Of version 2, or with CONTROLLER that of version 1 which has it: a line of proc_pid_mountinfo(5).
 */
static bool is_of(const char *line, const char *controller, struct mount *ret)
{
        char type[32], options[512];
        const char *rest = strstr(line, " - ");
        if (rest == NULL || sscanf(rest, " - %31s %*s %511s", type, options) != 2 ||
                sscanf(line, "%*d %*d %*s %4095s %4095s", ret->root, ret->folder) != 2)
                return false;
        return controller == NULL ? strcmp(type, "cgroup2") == 0
                                  : strcmp(type, "cgroup") == 0 && lists(options, controller);
}

static bool find_mount(const char *controller, struct mount *ret)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        while (file && getline(&line, &size, file) > 0) {
                line[strcspn(line, "\n")] = '\0';
                if (is_of(line, controller, ret))
                        return true;
        }
        return false;
}

/* Our place in it: a line of cgroups(7), "4:memory:/jobs/17" or "0::/jobs/17". */
static bool find_place(const char *controller, char ret[PATH_MAX])
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        while (file && getline(&line, &size, file) > 0) {
                line[strcspn(line, "\n")] = '\0';
                char *list = strchr(line, ':');
                char *path = list ? strchr(list + 1, ':') : NULL;
                if (!path)
                        continue;
                *path++ = '\0';
                if (controller ? lists(list + 1, controller) : list[1] == '\0') {
                        snprintf(ret, PATH_MAX, "%s", path);
                        return true;
                }
        }
        return false;
}

static void visit_one(const char *controller, fmt_cgroup_visitor *visit, void *context)
{
        struct mount mount;
        char place[PATH_MAX], folder[2 * PATH_MAX];
        if (!find_mount(controller, &mount) || !find_place(controller, place))
                return;
        /* Below what is visible; else what is visible is all that there is to see. */
        const size_t hidden = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
        const bool is_below = strncmp(place, mount.root, hidden) == 0;
        snprintf(folder, sizeof folder, "%s%s", mount.folder, is_below ? place + hidden : "");
        const size_t top = strlen(mount.folder);
        for (size_t end = strlen(folder); end > top && folder[end - 1] == '/'; end--)
                folder[end - 1] = '\0';
        for (;;) {
                visit(context, folder);
                char *slash = strrchr(folder, '/');
                if (strlen(folder) <= top || !slash)
                        return;
                *slash = '\0';
        }
}

void fmt_cgroup_visit(const char *controller, fmt_cgroup_visitor *visit, void *context)
{
        visit_one(NULL, visit, context);
        visit_one(controller, visit, context);
}
