/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target is one file with the three functions below. It is driven in two ways:
 *
 *   fuzz_main.c        an ordinary test: every file of its must-fail corpus has to be refused, and
 *                      random mutations of them and of the seeds may do what they like, as long as
 *                      no promise is broken
 *   fuzz_libfuzzer.c   libFuzzer, guided by coverage: tools/fuzz, and for a minute in tools/check
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A promise. */
#define MUST(condition)                                                                            \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);    \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* Feeds DATA to what is tested. Aborts if a promise is broken; true if all of it was valid. */
bool fuzz_accepts(const uint8_t *data, size_t size);

/* The valid inputs to start mutations from, NUMBER counting from 0; NULL behind the last. The
 * caller frees it. */
uint8_t *fuzz_seed(unsigned number, size_t *ret_size);

/* Changes DATA a little, knowing what it is made of, so that much of it stays valid. CAPACITY bytes
 * of room, at least SIZE; returns the new size. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random);

#endif
