/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and running the real tools behind the names that capture stands in for. */
#ifndef CAPTURE_PROGRAMS_H
#define CAPTURE_PROGRAMS_H

#include <stddef.h>

/* The first executable NAME on PATH that is not one of ours (whose real name does not begin with
 * "xaas-"). A NAME with a slash is taken as it is. -ENOENT. The caller frees *ret. */
int capture_find(const char *name, char **ret);

/* The clang whose bitcode xaasfs understands: $XAASFS_CLANG, or the one found when xaasfs was
 * built, or clang-19 on PATH. */
int capture_clang(char **ret);

/* A companion (xaas-ld, the folder "path") in $XAASFS_LIBEXEC, beside the running program, or
 * where it was installed. */
int capture_companion(const char *name, char **ret);

/* Runs PATH with ARGV and waits. Returns its exit status, 128 + N if signal N ended it, or a
 * negative errno. With ret_output (may be NULL) its stdout comes back as text, else it is ours. */
int capture_run(const char *path, char *const *argv, char **ret_output);

/* The same, but lines of stderr that hold NOISE are left out. */
int capture_run_quietly(const char *path, char *const *argv, const char *noise);

/* The same for a program that is looked for on PATH, ours included. */
int capture_run_by_name(const char *name, char *const *argv);

/* Becomes PATH. Returns only on failure: a negative errno. */
int capture_become(const char *path, char *const *argv);

/* A private folder for temporary files; removed with everything in it by capture_scratch_remove. */
int capture_scratch(char **ret);
void capture_scratch_remove(const char *folder);

const char *capture_base_name(const char *path);

#endif
