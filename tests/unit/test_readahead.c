/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks are made ahead of which reads: in the order of the image, for as many readers as
 * there are, and nothing for reads at random. */
#include "fmt_cores.h"
#include "fmt_readahead.h"
#include "fmt_squashfs.h"
#include "unit_check.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE 131072
#define STORED 1000
#define N_BLOCKS 1000
#define N_FRAGMENTS 24
#define WINDOW 16
#define FIRST 4 /* made ahead of a reader's third block */

/* Files' blocks with a fragment after every 40th; in the index the fragments come behind. */
static struct fmt_index_block blocks[N_BLOCKS], fragments[N_FRAGMENTS];
static const struct fmt_index_block *in_image[N_BLOCKS + N_FRAGMENTS];
static struct fmt_index_header header = {
        .block_size = BLOCK_SIZE, .n_blocks = N_BLOCKS, .n_fragments = N_FRAGMENTS};
static const struct fmt_index fake_index = {
        .header = &header, .blocks = blocks, .fragments = fragments};

static void fill_index(void)
{
        uint32_t n_blocks = 0, n_fragments = 0;
        for (uint32_t i = 0; i < N_BLOCKS + N_FRAGMENTS; i++) {
                struct fmt_index_block *block =
                        i % 41 == 40 ? &fragments[n_fragments++] : &blocks[n_blocks++];
                *block = (struct fmt_index_block){
                        .position = (uint64_t)i * STORED, .stored = STORED, .raw = i == 500};
                in_image[i] = block;
        }
        REQUIRE(n_blocks == N_BLOCKS && n_fragments == N_FRAGMENTS);
}

struct record {
        pthread_mutex_t lock;
        unsigned made[N_BLOCKS + N_FRAGMENTS]; /* times */
        uint64_t fetched_to;
};

static void record_make(void *context, const struct fmt_index_block *block)
{
        struct record *record = context;
        pthread_mutex_lock(&record->lock);
        record->made[block->position / STORED]++;
        pthread_mutex_unlock(&record->lock);
}

static void record_fetch(void *context, uint64_t position, uint64_t size)
{
        struct record *record = context;
        pthread_mutex_lock(&record->lock);
        if (position + size > record->fetched_to)
                record->fetched_to = position + size;
        pthread_mutex_unlock(&record->lock);
}

static bool is_made(struct record *record, uint32_t place)
{
        pthread_mutex_lock(&record->lock);
        const bool made = record->made[place] > 0;
        pthread_mutex_unlock(&record->lock);
        return made;
}

/* Somebody reads the block at PLACE, and it is noticed; within a minute. */
static void read_block(struct fmt_readahead *readahead, uint32_t place)
{
        for (unsigned i = 0; i < 60000; i++) {
                if (fmt_readahead_note(readahead, in_image[place]))
                        return;
                usleep(1000);
        }
        REQUIRE(!"noticed");
}

static void read_blocks(struct fmt_readahead *readahead, uint32_t first, uint32_t end)
{
        for (uint32_t place = first; place < end; place++)
                read_block(readahead, place);
}

/* Until the threads have made PLACE; they have a minute. */
static void wait_for(struct record *record, uint32_t place)
{
        for (unsigned i = 0; i < 60000 && !is_made(record, place); i++)
                usleep(1000);
        REQUIRE(is_made(record, place));
}

static struct fmt_readahead *start(struct record *record)
{
        const struct fmt_readahead_work work = {
                .make = record_make, .fetch = record_fetch, .context = record};
        struct fmt_readahead *readahead;
        memset(record, 0, sizeof *record);
        pthread_mutex_init(&record->lock, NULL);
        REQUIRE(fmt_readahead_new(&fake_index, WINDOW, 3, &work, &readahead) == 0);
        return readahead;
}

/* Ends it when all that is queued is made: the queue is worked off in order, so that is when blocks
 * have begun that are asked for last of all, and threads end what they have begun. None was made
 * twice. How many were made from FIRST to END. */
#define LAST_OF_ALL 1000
static unsigned finish(
        struct record *record, struct fmt_readahead *readahead, uint32_t first, uint32_t end)
{
        unsigned n = 0;
        read_blocks(readahead, LAST_OF_ALL, LAST_OF_ALL + 3);
        wait_for(record, LAST_OF_ALL + 2 + FIRST);
        fmt_readahead_free(readahead);
        for (uint32_t place = 0; place < N_BLOCKS + N_FRAGMENTS; place++) {
                CHECK(record->made[place] <= 1);
                n += place >= first && place < end ? record->made[place] : 0;
        }
        return n;
}

static void test_sequence_is_followed(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, 29, 31);
        read_block(readahead, 30);
        CHECK(finish(&record, readahead, 0, LAST_OF_ALL) == 0);

        readahead = start(&record);
        read_blocks(readahead, 29, 32);
        wait_for(&record, 31 + FIRST);
        pthread_mutex_lock(&record.lock);
        CHECK(record.fetched_to >= (31 + FIRST + FIRST) * STORED);
        pthread_mutex_unlock(&record.lock);
        CHECK(finish(&record, readahead, 0, LAST_OF_ALL) == FIRST);
        for (uint32_t i = 32; i <= 31 + FIRST; i++)
                CHECK(record.made[i] == 1);
}

/* Across fragments, and farther ahead with each success. */
static void test_a_long_sequence(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, 29, 200);
        const unsigned made = finish(&record, readahead, 0, LAST_OF_ALL);
        CHECK(made >= 200 - 32 + WINDOW / 2 && made <= 200 - 32 + WINDOW);
        for (uint32_t i = 32; i < 200 + WINDOW / 2; i++)
                CHECK(record.made[i] == 1);
}

static void test_two_readers_at_once(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        for (uint32_t i = 0; i < 50; i++) {
                read_block(readahead, 100 + i);
                read_block(readahead, 600 + i);
        }
        wait_for(&record, 149 + WINDOW / 2);
        wait_for(&record, 649 + WINDOW / 2);
        CHECK(!is_made(&record, 99) && !is_made(&record, 150 + WINDOW));
        fmt_readahead_free(readahead);
}

/* Who passes most blocks by gets few of them made. */
static void test_a_reader_that_skips(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, 100, 160);
        for (uint32_t i = 160; i < 400; i += WINDOW / 2)
                read_block(readahead, i);
        CHECK(finish(&record, readahead, 160 + WINDOW, LAST_OF_ALL) < (400 - 160) / 2);
}

/* Readers that share a stretch, some a little behind the others: what the first one's stream has
 * made is not made again for them, nor is more. */
static void test_a_reader_a_little_behind(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, 100, 130);
        read_blocks(readahead, 120, 129);
        CHECK(finish(&record, readahead, 130 + WINDOW, LAST_OF_ALL) == 0);
}

static void test_random_reads_make_nothing(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        /* Pairs of neighbours, but never three. */
        for (uint32_t i = 0; i < 500; i++)
                read_block(readahead, i * 7919 % 40 * (WINDOW + 1) + i % 2);
        CHECK(finish(&record, readahead, 0, LAST_OF_ALL) == 0);
}

static void test_stored_blocks_are_not_made(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, 490, 510);
        wait_for(&record, 509 + WINDOW / 2);
        CHECK(!is_made(&record, 500));
        fmt_readahead_free(readahead);
}

static void test_the_end_of_the_image(void)
{
        struct record record;
        struct fmt_readahead *readahead = start(&record);
        read_blocks(readahead, N_BLOCKS + N_FRAGMENTS - 7, N_BLOCKS + N_FRAGMENTS - 4);
        wait_for(&record, N_BLOCKS + N_FRAGMENTS - 1);
        fmt_readahead_free(readahead);
}

/* What is made ahead in an image is what its readers then find. */
static void test_reading_an_image(void)
{
        char folder[] = "/tmp/xaasfs-readahead-XXXXXX", command[300], path[100];
        static char buffer[65536];
        struct fmt_squashfs *image;
        struct fmt_squashfs_counts counts = {0};
        fmt_inode inode;
        if (fmt_cores_allowed() == 1) {
                fprintf(stderr, "one core: nothing is read ahead of anybody\n");
                return;
        }
        REQUIRE(mkdtemp(folder) != NULL);
        snprintf(path, sizeof path, "%s/image", folder);
        snprintf(command, sizeof command,
                "cd %s && mkdir tree && seq 3000000 > tree/file && mksquashfs tree image -b 4096 "
                "-no-progress -quiet",
                folder);
        REQUIRE(system(command) == 0);
        REQUIRE(fmt_squashfs_open(path, NULL, &image) == 0);
        REQUIRE(fmt_squashfs_lookup(image, FMT_ROOT, "file", 4, &inode) == 0);
        uint64_t at = 0;
        for (unsigned i = 0; i < 10000 && counts.blocks.ahead < 10; i++) {
                REQUIRE(fmt_squashfs_read(image, inode, buffer, 4096, at) == 4096);
                at += 4096;
                usleep(1000);
                fmt_squashfs_counts(image, &counts);
        }
        CHECK(counts.blocks.ahead >= 10);
        while (fmt_squashfs_read(image, inode, buffer, sizeof buffer, at) > 0)
                at += sizeof buffer;
        fmt_squashfs_counts(image, &counts);
        CHECK(counts.blocks.ahead_used >= 10 && counts.blocks.ahead_used <= counts.blocks.ahead);
        /* Everything once, whoever made it. */
        struct stat st;
        REQUIRE(fmt_squashfs_stat(image, inode, &st) == 0);
        CHECK(counts.blocks.makes == ((uint64_t)st.st_size + 4095) / 4096);
        fmt_squashfs_free(image);
        snprintf(command, sizeof command, "rm -r %s", folder);
        CHECK(system(command) == 0);
}

int main(void)
{
        fill_index();
        test_sequence_is_followed();
        test_a_long_sequence();
        test_two_readers_at_once();
        test_a_reader_that_skips();
        test_a_reader_a_little_behind();
        test_random_reads_make_nothing();
        test_stored_blocks_are_not_made();
        test_the_end_of_the_image();
        test_reading_an_image();
        return unit_report();
}
