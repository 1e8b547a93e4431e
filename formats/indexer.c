/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-indexer OFFSET MEMORY SECONDS: reads the squashfs image in descriptor 3, whose superblock
 * is at OFFSET, and writes its flat index (fmt_index.h) to descriptor 4, within MEMORY bytes and
 * SECONDS of processor time.
 *
 * libsquashfuse trusts what it reads, so this process gives up everything but those two
 * descriptors before it reads the first byte, and whoever reads the index checks all of it. */
#include "fmt_confine.h"
#include "fmt_sanitizer.h"
#include "fmt_squashfs_start.h"
#include "indexer_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if FMT_SANITIZER
/* The search for leaks starts threads and reads /proc, which a confined process may not do. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
/* A sanitizer's shadow memory is larger than any honest limit. */
#define LIMITS_MEMORY false
#else
#define LIMITS_MEMORY true
#endif

static int say(enum fmt_indexer_exit kind, const char *sentence)
{
        /* Whatever part of an index is there is worth nothing. */
        if (ftruncate(FMT_INDEXER_OUTPUT_FD, 0) < 0 ||
                pwrite(FMT_INDEXER_OUTPUT_FD, sentence, strlen(sentence), 0) < 0)
                return FMT_INDEXER_PROBLEM;
        return kind;
}

int main(int argc, char **argv)
{
        if (argc != 4)
                return FMT_INDEXER_PROBLEM;
        const uint64_t offset = strtoull(argv[1], NULL, 10);
        const uint64_t memory = strtoull(argv[2], NULL, 10);
        const struct fmt_confinement confinement = {
                .memory_limit = LIMITS_MEMORY ? memory : 0,
                .file_limit = memory,
                .cpu_seconds = strtoull(argv[3], NULL, 10),
        };
        /* A crash is an expected way for this process to end. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        if (fmt_confine(&confinement) < 0)
                return say(FMT_INDEXER_PROBLEM,
                        "this kernel cannot confine what reads it (no Landlock); enable Landlock "
                        "(lsm=landlock,... on the kernel's command line)");

        const char *sentence = NULL;
        enum fmt_indexer_exit end =
                indexer_walk(FMT_INDEXER_IMAGE_FD, offset, FMT_INDEXER_OUTPUT_FD, &sentence);
        if (end != FMT_INDEXER_OK)
                return say(end, sentence);
        return FMT_INDEXER_OK;
}
