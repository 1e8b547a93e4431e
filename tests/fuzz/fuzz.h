/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target is one function. It is driven in two ways:
 *
 *   - fuzz_main.c makes an ordinary test of it: every file of its must-fail corpus has to be
 *     refused, and so has, or else be valid, what random mutation makes of them and of a seed;
 *   - libFuzzer, with -DFUZZ_LIBFUZZER instead of fuzz_main.c:
 *
 *         clang-19 -g -O1 -std=gnu17 -D_GNU_SOURCE -DFUZZ_LIBFUZZER
 * -fsanitize=fuzzer,address,undefined \
 *           -Iformats tests/fuzz/fuzz_bundle.c
 * formats/fmt_{bundle_*,digest,json,log,manifest,record*,source,strings}.c \ -ljansson -lcrypto
 * -lzstd -lxxhash -o fuzz && ./fuzz -max_len=65536 DIR tests/fuzz/corpus/bundle
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feeds DATA to the parsers. Aborts if a promise is broken; true if all of it was valid. */
bool fuzz_accepts(const uint8_t *data, size_t size);

/* A valid input to start mutations from; the caller frees it. */
uint8_t *fuzz_seed(size_t *ret_size);

#endif
