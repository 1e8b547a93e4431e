/* SPDX-License-Identifier: Apache-2.0 */
/* xaas status MOUNTPOINT */
#include "fmt_status.h"
#include "tool_commands.h"
#include "tool_options.h"

enum { OPTION_JSON = 1 };

static const struct tool_option options[] = {
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"}, {0}};

int tool_status(int argc, char **argv)
{
        struct tool_line line = {.usage = "xaas status [OPTIONS] MOUNTPOINT",
                .about = "Shows what a mount was asked since it started, how fast it was, and what "
                         "it holds.",
                .options = options,
                .argc = argc,
                .argv = argv};
        const char *value, *path = NULL;
        bool json = false;

        for (;;) {
                switch (tool_next(&line, &value)) {
                case OPTION_JSON:
                        json = true;
                        break;
                case TOOL_OPERAND:
                        if (path) {
                                tool_wrong(&line, "%s is one word too many", value);
                                return TOOL_USAGE;
                        }
                        path = value;
                        break;
                case TOOL_END:
                        if (path)
                                return fmt_status_show(path, json);
                        tool_wrong(&line, "say which mount");
                        return TOOL_USAGE;
                case TOOL_HELP:
                        return 0;
                default:
                        return TOOL_USAGE;
                }
        }
}
