/* SPDX-License-Identifier: Apache-2.0 */
/* What `xaas host` has to say, and the two forms in which it says it. */
#ifndef HOST_REPORT_H
#define HOST_REPORT_H

#include "host_topology.h"
#include "fmt_cores.h"
#include "jit_host.h"
#include "jit_machine.h"

struct host_report {
        const struct jit_target *target;
        /* NULL where a name was asked about: there is no machine to it. */
        const struct jit_machine *machine;
        const struct jit_detection *found;
        /* NULL for anything but this machine, or where it cannot be told. */
        const struct host_topology *topology;
        const struct fmt_cores *cores;
        const char *llvm_name; /* what LLVM calls it */
};

void host_print_text(const struct host_report *report);

/* 0 or -ENOMEM. */
int host_print_json(const struct host_report *report);

#endif
