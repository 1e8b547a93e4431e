/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the spawner say to each other.
 *
 * Requests go through one SOCK_SEQPACKET socket: a jit_spawn_request, then PATH and each of ARGV
 * with their NULs. Along come descriptors: first the child's channel, then those whose bit in
 * `present` is set. The channel is a SOCK_SEQPACKET pair of its own: the spawner answers one report
 * when the exec worked or failed and one when the child has ended; any byte from the other side, or
 * its closing, kills the child. */
#ifndef JIT_SPAWNER_LOOP_H
#define JIT_SPAWNER_LOOP_H

#include <stdint.h>

#define JIT_SPAWN_MESSAGE_MAX (64 << 10) /* bytes: the largest request */

struct jit_spawn_request {
        uint64_t present; /* bit i: FDS[i] comes along, else /dev/null */
        uint32_t n_fds;
        uint32_t n_argv;
};

enum jit_spawn_event { JIT_SPAWN_STARTED, JIT_SPAWN_FAILED, JIT_SPAWN_ENDED };

struct jit_spawn_report {
        int32_t event; /* enum jit_spawn_event */
        int32_t value; /* pid, negative errno, or wait status */
};

/* The spawner's life; returns its exit status when REQUESTS is closed at the other end. */
int jit_spawner_serve(int requests);

#endif
