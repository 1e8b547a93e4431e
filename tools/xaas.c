/* SPDX-License-Identifier: Apache-2.0 */
/* xaas COMMAND …: finds the command and hands over. */
#include "fmt_log.h"
#include "fmt_suggest.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *about;
} commands[] = {
        {"build", tool_build, "run a build with capture on"},
        {"pack", tool_pack, "turn a root file system into an image"},
        {"inspect", tool_inspect, "tell what a file holds, and what stayed native"},
        {"cache", tool_cache, "show, check, shrink or empty the cache of compiled programs"},
        {"prewarm", tool_prewarm, "compile the programs of an image ahead of time"},
        {"tune", tool_tune, "find out how a program is best compiled for this machine"},
        {"profile", tool_profile, "have programs count how often their code runs, and use it"},
        {"status", tool_status, "show what a mount was asked, how fast it was, and what it holds"},
        {"host", tool_host, "show what programs are compiled for on this machine"},
        {NULL, NULL, NULL},
};

static int print_help(void)
{
        printf("usage: xaas COMMAND [OPTIONS] …\n\n");
        for (size_t i = 0; commands[i].name; i++)
                printf("  %-10s  %s\n", commands[i].name, commands[i].about);
        printf("\n`xaas COMMAND --help` lists a command's options; xaas(1) tells the rest.\n"
               "`xaasfs IMAGE MOUNTPOINT` mounts an image.\n");
        return 0;
}

static int unknown_command(const char *given)
{
        const char *names[sizeof(commands) / sizeof(commands[0])];
        const char *close;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                names[i] = commands[i].name;
        close = fmt_suggest(given, names);
        if (close)
                fmt_error("there is no command %s; did you mean `xaas %s`?", given, close);
        else
                fmt_error("there is no command %s; `xaas --help` lists them", given);
        return TOOL_USAGE;
}

int main(int argc, char **argv)
{
        fmt_log_setup("xaas", FMT_LOG_INFO);
        if (argc < 2) {
                fmt_error("a command is missing; `xaas --help` lists them");
                return TOOL_USAGE;
        }
        if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
                return print_help();
        if (!strcmp(argv[1], "--version")) {
                printf("xaas %s\n", XAASFS_VERSION);
                return 0;
        }
        for (size_t i = 0; commands[i].name; i++)
                if (!strcmp(argv[1], commands[i].name))
                        return commands[i].run(argc - 1, argv + 1);
        return unknown_command(argv[1]);
}
