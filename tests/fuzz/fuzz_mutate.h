/* SPDX-License-Identifier: Apache-2.0 */
/* Mutations that know nothing of what they change. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Changes a few bytes, often near the start; now and then cuts the end off. Returns the new size.
 */
size_t fuzz_mutate_bytes(uint8_t *data, size_t size, uint64_t *random);

/* A number near WAS, at a border, or anything. */
uint32_t fuzz_mutate_number(uint32_t was, uint64_t *random);

#endif
