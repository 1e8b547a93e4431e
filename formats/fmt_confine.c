/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_confine.h"

#include "fmt_cleanup.h"
#include "fmt_landlock.h"
#include "fmt_sanitizer.h"
#include "fmt_syscalls.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Lowers soft and hard limit; never raises one. */
static int limit(int resource, uint64_t most)
{
        struct rlimit now;

        if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
                return -errno;
        if (now.rlim_max > most)
                now.rlim_max = most;
        if (now.rlim_cur > now.rlim_max)
                now.rlim_cur = now.rlim_max;
        return setrlimit((__rlimit_resource_t)resource, &now) < 0 ? -errno : 0;
}

static int limit_resources(const struct fmt_confinement *confinement)
{
        int r = limit(RLIMIT_CORE, 0);

        if (r == 0 && confinement->memory_limit && !FMT_SANITIZER)
                r = limit(RLIMIT_AS, confinement->memory_limit);
        if (r == 0 && confinement->data_limit && !FMT_SANITIZER)
                r = limit(RLIMIT_DATA, confinement->data_limit);
        if (r == 0 && confinement->file_limit)
                r = limit(RLIMIT_FSIZE, confinement->file_limit);
        if (r == 0 && confinement->cpu_seconds)
                r = limit(RLIMIT_CPU, confinement->cpu_seconds);
        return r;
}

/* The bounding set can only be emptied by who has CAP_SETPCAP; for everybody else no_new_privs
 * sees to it that an exec never gives a capability back. */
static int drop_capabilities(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

        for (unsigned long capability = 0; capability < 64; capability++) {
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        break;
        }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return -errno;
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int fmt_confine(const struct fmt_confinement *confinement)
{
        bool signals_stay = false;
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        r = fmt_landlock_restrict(confinement, &signals_stay);
        if (r < 0)
                return r;
        r = drop_capabilities();
        if (r < 0)
                return r;
        /* After the credentials: changing them can clear it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return -errno;
        r = limit_resources(confinement);
        if (r < 0)
                return r;
        return fmt_syscalls_restrict(confinement, signals_stay);
}
