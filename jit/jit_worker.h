/* SPDX-License-Identifier: Apache-2.0 */
/* One confined compile: xaas-worker, started, fed and awaited.
 *
 * The worker sees no file system but the toolchain and one scratch folder. Everything else reaches
 * it as descriptors:
 *
 *     0  /dev/null                 4  inputs: ar archive of all inputs but the lazy ones, in order
 *     1  output: the linked ELF    5  lazy inputs: ar archive (empty file: there are none)
 *     2  messages                  6  report: lines "key value", see jit_worker_report.h
 *     3  job: ar archive of        7  eventfd: readable once 3, 4 and 5 are complete
 *          "job"       lines "key value", see jit_worker_job.h
 *          "record"    canonical JSON of a record that holds the chosen variant alone
 *          "stub-N"    the variant's Nth stub
 *          "file-N"    the file of the recipe's Nth option, where it takes one
 *          "profile"   how often its code ran, if that is known (jit_profile.h)
 *
 * Members of 4 and 5 are called what fmt_input.name says, so that messages name the module. It is
 * started before its inputs are read, so that its start and the reading overlap.
 *
 * Life: jit_worker_start -> jit_worker_feed -> jit_worker_wait -> jit_worker_free; the last may
 * come at any time and ends what runs. A worker belongs to one thread at a time. */
#ifndef JIT_WORKER_H
#define JIT_WORKER_H

#include "fmt_bundle.h"
#include "fmt_record.h"
#include "jit_host.h"
#include "jit_policy.h"
#include "jit_spawner.h"
#include "jit_toolchain.h"
#include "jit_worker_report.h"

struct jit_worker_order {
        const struct fmt_variant *variant;
        const struct jit_target *target;
        const struct jit_toolchain *toolchain;
        const char *folder;    /* scratch folder; its subfolder "cache" holds seeds for ThinLTO */
        char *const *seeds;    /* folders that seeds point into: NULL-terminated, or NULL */
        uint64_t size;         /* promised size of the result, bytes */
        uint64_t memory_limit; /* bytes that it may use, 0: none */
        unsigned deadline_s;
        const struct jit_policy *policy;
        unsigned threads;
        bool in_background; /* at a lower priority */
        const char *counts_folder, *counts_stem; /* as in jit_worker_job.h */
        const void *profile;                     /* NULL: there is none */
        size_t profile_size;
};

struct jit_worker;

/* ORDER and what it points to must outlive the worker. */
int jit_worker_start(
        struct jit_spawner *spawner, const struct jit_worker_order *order, struct jit_worker **ret);

/* Reads, decompresses and verifies every blob of the variant and hands them over. -EBADMSG,
 * -ENOENT, -EIO as fmt_bundle_read, -EFBIG (more than the worker's memory); then ret_name (borrowed
 * from the variant, or NULL) is the input that could not be read. */
int jit_worker_feed(
        struct jit_worker *worker, const struct fmt_bundle *bundle, const char **ret_name);

/* Waits for the end, or kills it: at the deadline (-ETIMEDOUT) or when STOP_FD becomes readable
 * (-ECANCELED). Else 0, or a negative errno in ret->error too: -EBADMSG (cannot be compiled),
 * -ENOMEM, -EFBIG (does not fit), -EIO (the worker died); ret->reason then says why. */
int jit_worker_wait(struct jit_worker *worker, int stop_fd, struct jit_worker_report *ret);

/* The linked ELF after a successful wait: a memfd of report.elf_size bytes that no process but
 * ours holds. Borrowed. */
int jit_worker_output(const struct jit_worker *worker);

/* Where jit_worker_report_tell writes while it works. Borrowed. */
int jit_worker_told(const struct jit_worker *worker);

/* The end of what the worker wrote to its stderr, for debugging; the caller frees it. */
char *jit_worker_messages(const struct jit_worker *worker);

void jit_worker_free(struct jit_worker *worker);

#endif
