/* SPDX-License-Identifier: Apache-2.0 */
/* xaas host: what this machine's programs are compiled for, and why. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "host_report.h"
#include "jit_bitcode.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <string.h>

enum { OPTION_JSON = 1, OPTION_RECORD, OPTION_TARGET };

static const struct tool_option options[] = {
        {OPTION_TARGET, 0, "target", "NAME",
                "describe this target instead: x86-64-v3, a CPU name that LLVM knows, or a FILE "
                "that --record made (with a / in its path)"},
        {OPTION_RECORD, 0, "record", NULL,
                "print what the machine says of itself, for --target FILE elsewhere"},
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {0},
};

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

static int print(const struct host_report *report, bool json)
{
        if (!json)
                host_print_text(report);
        else if (host_print_json(report) < 0) {
                fmt_error("cannot print the target: out of memory");
                return 1;
        }
        return 0;
}

/* What only the machine that this runs on can be asked. */
static int show_this_machine(struct host_report *report, bool json)
{
        struct host_topology topology = {0};
        _cleanup_free_ char *llvm_name = NULL;
        struct fmt_cores cores;
        int r = host_topology_read(&topology);

        if (r < 0)
                fmt_warning("cannot tell caches, memory and cores: hwloc: %s", strerror(-r));
        else
                report->topology = &topology;
        r = jit_bitcode_host_name(&llvm_name);
        if (r < 0)
                fmt_warning("cannot tell what LLVM calls this machine: xaas-bitcode: %s; install "
                            "xaasfs completely, or set XAASFS_LIBEXEC to the folder of its "
                            "companions",
                        strerror(-r));
        report->llvm_name = llvm_name;
        fmt_cores_describe(&cores);
        report->cores = &cores;
        r = print(report, json);
        host_topology_done(&topology);
        return r;
}

/* NAME: NULL for this machine, a file, or a target without a machine. */
static int show_target(const char *name, const struct jit_target *target, bool json)
{
        struct host_report report = {.target = target};
        struct jit_machine machine = {0};
        struct jit_detection found;
        _cleanup_free_ char *reason = NULL;
        bool is_this = !name || !strcmp(name, "native");

        if (!is_this && !strchr(name, '/'))
                return print(&report, json);
        /* It was read before, or there would be no target. */
        int r = is_this ? jit_machine_read(&machine) : jit_machine_load(name, &machine, &reason);
        if (r < 0) {
                fmt_error("cannot read the machine again: %s; try once more", strerror(-r));
                return 1;
        }
        jit_machine_detect(&machine, &found);
        report.machine = &machine;
        report.found = &found;
        r = is_this ? show_this_machine(&report, json) : print(&report, json);
        jit_machine_done(&machine);
        return r;
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
        r = show_target(name, target, json);
        jit_target_free(target);
        return r;
}

int tool_host(int argc, char **argv)
{
        struct tool_line line = {.usage = "xaas host [OPTIONS]",
                .about = "Shows what programs are compiled for on this machine, and why.",
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
