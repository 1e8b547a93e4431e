/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-fc: flang 19, with bitcode beside the native code. gfortran is never replaced: what it
 * compiles are native inputs. */
#ifndef CC_FORTRAN_H
#define CC_FORTRAN_H

#include <stdbool.h>

/* Whether NAME is one of ours for Fortran. */
bool cc_is_fortran(const char *name);

/* Does what ARGV (without argv[0]) asks for. Exit status, or a negative errno. */
int cc_fortran(char *const *argv, const char *clang);

#endif
