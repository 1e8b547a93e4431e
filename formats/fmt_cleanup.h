/* SPDX-License-Identifier: Apache-2.0 */
/* Automatic cleanup at scope exit, and moving ownership out of it.
 *
 *     _cleanup_free_ char *path = NULL;
 *     _cleanup_close_ int fd = -1;
 *     …
 *     *ret_fd = steal_fd(&fd);
 *
 * Every cleanup preserves errno. */
#ifndef FMT_CLEANUP_H
#define FMT_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void fmt_free_pointer(void *p)
{
        int saved = errno;
        free(*(void **)p);
        errno = saved;
}

static inline void fmt_close_fd(int *fd)
{
        int saved = errno;
        if (*fd >= 0)
                close(*fd);
        errno = saved;
}

static inline void fmt_close_file(FILE **f)
{
        int saved = errno;
        if (*f)
                fclose(*f);
        errno = saved;
}

#define _cleanup_free_ _cleanup_(fmt_free_pointer)
#define _cleanup_close_ _cleanup_(fmt_close_fd)
#define _cleanup_fclose_ _cleanup_(fmt_close_file)

static inline int steal_fd(int *fd)
{
        int taken = *fd;
        *fd = -1;
        return taken;
}

/* Takes the pointer out of a cleanup variable: the caller owns it now. */
#define steal_pointer(p)                                                                           \
        ({                                                                                         \
                __typeof__(*(p)) taken_ = *(p);                                                    \
                *(p) = NULL;                                                                       \
                taken_;                                                                            \
        })

#endif
