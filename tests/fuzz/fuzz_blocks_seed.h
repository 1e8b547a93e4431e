/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of fuzz_blocks.c: a plan, and behind it the bytes of an image. */
#ifndef FUZZ_BLOCKS_SEED_H
#define FUZZ_BLOCKS_SEED_H

#include <stdint.h>

#define PLAN_BLOCKS 6
#define PLAN_ASKS 6

/* How a block is stored; other kinds are compressed, too. */
enum { PLAN_COMPRESSED = 0, PLAN_RAW = 1, PLAN_HOLE = 2 };

enum { PLAN_TAIL_IN_FRAGMENT = 1, PLAN_READ_AHEAD = 2, PLAN_CUT_LATER = 4 };

/* Every value is allowed: fuzz_blocks.c makes one of it that is in range. No padding. */
struct plan {
        uint8_t compressor;
        uint8_t block_size; /* which one of those that occur */
        uint8_t n_blocks;   /* of the file */
        uint8_t flags;
        uint16_t tail; /* bytes behind the last whole block */
        uint16_t fragment_offset;
        struct plan_block {
                uint16_t position;
                uint16_t stored;
                uint16_t kind;
        } blocks[PLAN_BLOCKS + 1]; /* the last one is the fragment */
        uint16_t zero;
        struct plan_ask {
                uint32_t offset;
                uint32_t size;
        } asks[PLAN_ASKS];
};

#endif
