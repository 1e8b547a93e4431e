/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says of its work: lines "key value" in a memfd.
 *
 *     error N      0, or a positive errno      modules N   modules among the inputs
 *     reason TEXT  one sentence                compiled N  of those, results not taken from seeds
 *     elf N        bytes of the result         opt N       level it was compiled at in the end
 *     start N, retarget N, link N, check N     nanoseconds of CLOCK_MONOTONIC when the step ended
 *     swept N      bytes of code looked at for instructions beyond the target
 *     functions N, profiled N, changed N, unreadable N     struct jit_worker_profiled
 *
 * It is written again after each step, and has an error only in the end.
 *
 * The reader believes none of it further than its own checks go: unknown keys are passed over. */
#ifndef JIT_WORKER_REPORT_H
#define JIT_WORKER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* What became of a profile (jit_bitcode_protocol.h), summed up over all modules. */
struct jit_worker_profiled {
        uint64_t functions, profiled, changed;
        uint64_t unreadable; /* modules for which it was no profile */
};

struct jit_worker_report {
        int error;    /* 0 or a negative errno */
        char *reason; /* or NULL */
        bool died;    /* it ended without a report: who waited for it says so */
        uint64_t elf_size;
        uint64_t modules, compiled;
        unsigned opt;
        uint64_t start_ns, retarget_ns, link_ns, check_ns;
        uint64_t swept;
        struct jit_worker_profiled profile; /* all 0 without one */
};

/* Writes REPORT to FD from its start. */
int jit_worker_report_write(const struct jit_worker_report *report, int fd);
/* Writes what is known so far: whoever finds nothing else there takes it for a failure. */
void jit_worker_report_tell(const struct jit_worker_report *report, int fd);

/* Reads what FD holds; an empty or cut report gives error -EIO without a reason. */
int jit_worker_report_read(int fd, struct jit_worker_report *ret);
void jit_worker_report_done(struct jit_worker_report *report);

#endif
