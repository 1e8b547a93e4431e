/* SPDX-License-Identifier: Apache-2.0 */
/* xaas host: what this machine's programs are compiled for. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_host.h"
#include "jit_machine.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <jansson.h>
#include <string.h>

enum { OPTION_JSON = 1, OPTION_RECORD, OPTION_TARGET };

static const struct tool_option options[] = {
        {OPTION_TARGET, 0, "target", "NAME",
                "describe this target instead: x86-64-v3, or a CPU name that LLVM knows"},
        {OPTION_RECORD, 0, "record", NULL,
                "print what the machine says of itself, for --target FILE elsewhere"},
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {0},
};

static int print_json(const struct jit_target *target)
{
        json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "label", target->label, "triple",
                target->triple, "tune", target->tune, "features", target->features);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

        json_decref(json);
        if (!text) {
                fmt_error("cannot print the target: out of memory");
                return 1;
        }
        printf("%s\n", text);
        return 0;
}

/* Only what the target has, in lines of readable length. */
static void print_features(const char *features)
{
        size_t column = 0;

        printf("features");
        for (const char *at = features; *at;) {
                size_t size = strcspn(at, ",");
                if (*at == '+') {
                        if (column == 0 || column + size > 78) {
                                printf("%s%-9s", column ? "\n" : "", column ? "" : " ");
                                column = 9;
                        }
                        printf(" %.*s", (int)size - 1, at + 1);
                        column += size;
                }
                at += size + (at[size] == ',');
        }
        printf("\n");
}

static int record(void)
{
        struct jit_machine machine;
        int r = jit_machine_read(&machine);

        if (r < 0) {
                fmt_error("cannot record this machine: xaasfs knows x86-64 and AArch64 only");
                return 1;
        }
        jit_machine_print(&machine, stdout);
        jit_machine_done(&machine);
        return 0;
}

static int show(const char *name, bool json)
{
        struct jit_target *target;
        int r = jit_target_detect(name, true, &target);

        if (r == -EINVAL)
                return TOOL_USAGE;
        if (r < 0) {
                fmt_error("cannot tell what this machine is: %s; name a target with --target",
                        strerror(-r));
                return 1;
        }
        if (json) {
                r = print_json(target);
        } else {
                printf("%-9s %s\n%-9s %s\n%-9s %s\n", "target", target->label, "triple",
                        target->triple, "tuned for", target->tune);
                print_features(target->features);
        }
        jit_target_free(target);
        return r;
}

int tool_host(int argc, char **argv)
{
        struct tool_line line = {.usage = "xaas host [OPTIONS]",
                .about = "Shows what programs are compiled for on this machine.",
                .options = options,
                .argc = argc,
                .argv = argv};
        const char *value, *target = NULL;
        bool json = false;

        for (;;) {
                switch (tool_next(&line, &value)) {
                case OPTION_JSON:
                        json = true;
                        break;
                case OPTION_RECORD:
                        return record();
                case OPTION_TARGET:
                        target = value;
                        break;
                case TOOL_OPERAND:
                        tool_wrong(&line, "%s is one word too many", value);
                        return TOOL_USAGE;
                case TOOL_END:
                        return show(target, json);
                case TOOL_HELP:
                        return 0;
                default:
                        return TOOL_USAGE;
                }
        }
}
