/* SPDX-License-Identifier: Apache-2.0 */
/* What each kernel provides; main.c runs it. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kernel {
        const char *name;
        const char *size_is, *rounds_are;
        long size, rounds; /* unless others are asked for */
        long least, most;  /* sizes that make sense */
        /* Computes. *ret_value is a number that depends on all of the result, *ret_error how far the result is
         * from what is known of it, in units of what rounding explains: up to 1 is right. False without memory. */
        bool (*run)(long size, long rounds, double *ret_value, double *ret_error);
};

extern const struct kernel kernel;

#ifdef __cplusplus
}
#endif

#endif
