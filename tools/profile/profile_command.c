/* SPDX-License-Identifier: Apache-2.0 */
/* xaas profile start|finish|list|export|import|forget */
#include "fmt_log.h"
#include "fmt_strings.h"
#include "fmt_suggest.h"
#include "profile.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <string.h>

enum { OPTION_CACHE = 1, OPTION_DIR, OPTION_TARGET, OPTION_ADD, OPTION_KEEP, OPTION_JSON };

static const struct tool_option options[] = {
        {OPTION_CACHE, 0, "cache", "DIR", "the cache, instead of $XAASFS_CACHE or ~/.cache/xaasfs"},
        {OPTION_DIR, 0, "dir", "DIR",
                "start, finish: where programs count; default: a folder of the cache"},
        {OPTION_TARGET, 0, "target", "NAME", "start: what will be compiled for, as for xaasfs"},
        {OPTION_ADD, 0, "add", NULL,
                "finish: to the profile that there is, instead of in its place"},
        {OPTION_KEEP, 0, "keep", NULL, "finish: leave the files with counts, and go on counting"},
        {OPTION_JSON, 0, "json", NULL, "list: print one JSON array"},
        {0},
};

/* Where the operands behind the action go. */
enum operands { NONE, PROGRAMS, PLACE_AND_PROGRAMS };

static const struct {
        const char *name;
        int (*run)(const struct profile_request *request);
        enum operands operands;
} actions[] = {
        {"start", profile_start, PROGRAMS},
        {"finish", profile_finish, PROGRAMS},
        {"list", profile_list, NONE},
        {"export", profile_export, PLACE_AND_PROGRAMS},
        {"import", profile_import, PLACE_AND_PROGRAMS},
        {"forget", profile_forget, PROGRAMS},
};
#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static int find_action(const struct tool_line *line, const char *given)
{
        const char *names[N_ACTIONS + 1] = {NULL};

        for (size_t i = 0; i < N_ACTIONS; i++) {
                if (!strcmp(actions[i].name, given))
                        return (int)i;
                names[i] = actions[i].name;
        }
        const char *close = fmt_suggest(given, names);
        return close ? tool_wrong(line, "there is no `xaas profile %s`; did you mean %s?", given,
                               close)
                     : tool_wrong(line, "there is no `xaas profile %s`", given);
}

static int take_operand(const struct tool_line *line, const char *value, int *action,
        struct profile_request *request)
{
        if (*action < 0) {
                *action = find_action(line, value);
                return *action < 0 ? TOOL_WRONG : 0;
        }
        const enum operands operands = actions[*action].operands;
        if (operands == NONE)
                return tool_wrong(line, "%s is one word too many", value);
        if (!request->image)
                request->image = value;
        else if (operands == PLACE_AND_PROGRAMS && !request->place)
                request->place = value;
        else if (fmt_strings_append(&request->programs, value) < 0)
                return tool_wrong(line, "out of memory");
        return 0;
}

static int check(const struct tool_line *line, int action, const struct profile_request *request)
{
        if (action < 0)
                return tool_wrong(line, "say what to do with profiles");
        if (actions[action].operands != NONE && !request->image)
                return tool_wrong(line, "an image is missing");
        if (actions[action].operands == PLACE_AND_PROGRAMS && !request->place)
                return tool_wrong(line, "say where the profiles are");
        return TOOL_END;
}

static int parse(struct tool_line *line, int *action, struct profile_request *ret)
{
        const char *value;

        for (;;) {
                int option = tool_next(line, &value);
                switch (option) {
                case OPTION_CACHE:
                        ret->cache = value;
                        break;
                case OPTION_DIR:
                        ret->folder = value;
                        break;
                case OPTION_TARGET:
                        ret->target = value;
                        break;
                case OPTION_ADD:
                        ret->add = true;
                        break;
                case OPTION_KEEP:
                        ret->keep = true;
                        break;
                case OPTION_JSON:
                        ret->json = true;
                        break;
                case TOOL_OPERAND:
                        if (take_operand(line, value, action, ret) < 0)
                                return TOOL_WRONG;
                        break;
                case TOOL_END:
                        return check(line, *action, ret);
                default:
                        return option;
                }
        }
}

int tool_profile(int argc, char **argv)
{
        struct tool_line line = {
                .usage = "xaas profile start  [OPTIONS] IMAGE [PROGRAM…]\n"
                         "       xaas profile finish [OPTIONS] IMAGE [PROGRAM…]\n"
                         "       xaas profile list   [OPTIONS]\n"
                         "       xaas profile export [OPTIONS] IMAGE DIR [PROGRAM…]\n"
                         "       xaas profile import [OPTIONS] IMAGE FILE|DIR "
                         "[PROGRAM…]\n"
                         "       xaas profile forget [OPTIONS] IMAGE [PROGRAM…]",
                .about = "After start, new mounts of the image serve programs that count how often "
                         "their code runs.\nRun them as usual; finish makes profiles of what they "
                         "counted, with which programs are\ncompiled from then on.",
                .options = options,
                .argc = argc,
                .argv = argv};
        struct profile_request request = {0};
        int action = -1;
        int r = parse(&line, &action, &request);

        r = r == TOOL_END ? actions[action].run(&request) : r == TOOL_HELP ? 0 : TOOL_USAGE;
        fmt_strings_free(request.programs);
        return r;
}
