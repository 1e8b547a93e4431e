/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `xaas`. Each gets its own name as argv[0] and returns an exit status: 0, 1 for
 * what failed, TOOL_USAGE for a command line that makes no sense. A command exists for people
 * once it has a row in the table of xaas.c. */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

int tool_build(int argc, char **argv);
int tool_pack(int argc, char **argv);
int tool_inspect(int argc, char **argv);
int tool_prewarm(int argc, char **argv);
int tool_tune(int argc, char **argv);
int tool_profile(int argc, char **argv);
int tool_cache(int argc, char **argv);
int tool_host(int argc, char **argv);
int tool_status(int argc, char **argv);

#endif
