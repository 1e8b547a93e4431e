/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much of a pool's memory, and what compiles are thought to need. */
#include "fmt_cleanup.h"
#include "jit_memory.h"
#include "unit_check.h"

#include <pthread.h>
#include <stdatomic.h>

#define MIB (UINT64_C(1) << 20)

struct taker {
        struct jit_memory *memory;
        uint64_t bytes;
        int result;
        atomic_bool is_served;
        pthread_t thread;
};

static void *take(void *context)
{
        struct taker *taker = context;
        taker->result = jit_memory_take(taker->memory, taker->bytes);
        atomic_store(&taker->is_served, true);
        return NULL;
}

/* Starts one that must wait: what is free stops being had once it stands in the line. */
static void start_waiting(struct taker *taker, struct jit_memory *memory, uint64_t bytes)
{
        *taker = (struct taker){.memory = memory, .bytes = bytes};
        REQUIRE(pthread_create(&taker->thread, NULL, take, taker) == 0);
        while (jit_memory_try(memory, 1)) {
                jit_memory_give(memory, 1);
                usleep(1000);
        }
}

static void test_order(void)
{
        struct jit_memory *memory;
        struct taker large;
        REQUIRE(jit_memory_new(100, &memory) == 0);
        REQUIRE(jit_memory_total(memory) == 100);
        REQUIRE(jit_memory_try(memory, 40) && jit_memory_try(memory, 40));
        REQUIRE(!jit_memory_try(memory, 21));
        start_waiting(&large, memory, 90);
        /* 20 are free, but the large one came first. */
        REQUIRE(!jit_memory_try(memory, 10));
        jit_memory_give(memory, 40);
        REQUIRE(!jit_memory_try(memory, 10) && !atomic_load(&large.is_served));
        jit_memory_give(memory, 40);
        pthread_join(large.thread, NULL);
        REQUIRE(large.result == 0);
        REQUIRE(jit_memory_try(memory, 10) && !jit_memory_try(memory, 1));
        jit_memory_give(memory, 100);
        REQUIRE(jit_memory_take(memory, 100) == 0);
        jit_memory_give(memory, 100);
        jit_memory_free(memory);
}

static void test_cancelling(void)
{
        struct jit_memory *memory;
        struct taker waiting;
        REQUIRE(jit_memory_new(100, &memory) == 0);
        REQUIRE(jit_memory_try(memory, 50));
        start_waiting(&waiting, memory, 60);
        jit_memory_cancel(memory);
        pthread_join(waiting.thread, NULL);
        REQUIRE(waiting.result == -ECANCELED);
        jit_memory_free(memory);
}

static uint64_t estimate(enum jit_lto lto, const uint64_t *sizes, size_t n, unsigned threads)
{
        struct fmt_input inputs[8] = {0};
        const struct fmt_variant variant = {.inputs = inputs, .n_inputs = n};
        const struct jit_policy policy = {.opt = 3, .lto = lto};
        REQUIRE(n <= 8);
        for (size_t i = 0; i < n; i++)
                inputs[i] = (struct fmt_input){.kind = FMT_INPUT_MODULE, .size = sizes[i]};
        return jit_memory_estimate(&variant, &policy, MIB, threads);
}

/* More than was measured (jit_memory.c), by less than three times. */
static void expect_about(uint64_t estimated, uint64_t measured)
{
        REQUIRE(estimated >= measured * MIB && estimated < 3 * measured * MIB);
}

static void test_estimates(void)
{
        static const uint64_t sqlite[] = {2133 << 10, 115 << 10, 91 << 10};
        static const uint64_t zstd[] = {254 << 10, 126 << 10, 115 << 10, 106 << 10, 99 << 10,
                84 << 10, 78 << 10, 950 << 10};
        static const uint64_t endless[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX / 2};
        expect_about(estimate(JIT_LTO_THIN, sqlite, 3, 1), 119);
        expect_about(estimate(JIT_LTO_THIN, sqlite, 3, 8), 139);
        expect_about(estimate(JIT_LTO_FULL, sqlite, 3, 2), 304);
        expect_about(estimate(JIT_LTO_FULL, zstd, 8, 2), 239);
        /* Threads hold the largest modules, not all of the same size. */
        REQUIRE(estimate(JIT_LTO_THIN, sqlite, 3, 2) - estimate(JIT_LTO_THIN, sqlite, 3, 1) <
                20 * MIB);
        REQUIRE(estimate(JIT_LTO_THIN, zstd, 8, 2) > estimate(JIT_LTO_THIN, zstd, 8, 1));
        /* Full LTO's does not depend on threads. */
        REQUIRE(estimate(JIT_LTO_FULL, zstd, 8, 2) == estimate(JIT_LTO_FULL, zstd, 8, 64));
        /* Sizes come from the image. */
        REQUIRE(estimate(JIT_LTO_THIN, endless, 3, 3) >= UINT64_C(1) << 48);
        REQUIRE(estimate(JIT_LTO_THIN, NULL, 0, 1) >= 32 * MIB);
}

int main(void)
{
        test_order();
        test_cancelling();
        test_estimates();
        return 0;
}
