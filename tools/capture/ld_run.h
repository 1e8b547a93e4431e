/* SPDX-License-Identifier: Apache-2.0 */
/* The real linker, run as it was asked to, with one option more that makes it tell what it took. */
#ifndef LD_RUN_H
#define LD_RUN_H

#include "fmt_record.h"
#include "ld_taken.h"

enum ld_brand { LD_BFD, LD_LLD, LD_OTHER };

/* By the name that PATH has once all links are followed. */
enum ld_brand ld_brand_of(const char *path);

/* Runs linker PATH with WORDS (without argv[0]). Returns its exit status or a negative errno;
 * *ret_taken is filled in only after status 0, and *ret_error (0 or a negative errno) says
 * whether that worked: the link itself is none the worse if it did not. */
int ld_run(const char *path, char *const *words, struct ld_taken_list *ret_taken, int *ret_error);

#endif
