/* SPDX-License-Identifier: Apache-2.0 */
/* Results of modules are used again by other programs of the image and by images that trust it,
 * and by nobody else. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define PROMISED (UINT64_C(1) << 20)

/* Too large and too often called to be imported: its object depends on itself alone. */
static const char shared_source[] =
        "__attribute__((noinline)) int work(int x)\n"
        "{ int s = 0; for (int i = 0; i < x; i++) { s = s * 31 + i; s ^= s >> 3; } return s; }\n";

static void add_program(struct sample_image *image, const char *path, const char *word)
{
        char source[256];
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        snprintf(source, sizeof source,
                "#include <stdio.h>\nint work(int);\n"
                "int main(void) { printf(\"%s %%d\\n\", work(1000)); return 0; }\n",
                word);
        sample_module(image, record, path, source, "", false);
        sample_module(image, record, "work.c", shared_source, "", false);
        sample_program(image, record, path, PROMISED);
}

/* WORDS: one program each. */
static void open_image(
        struct sample_image *image, const char *words, const struct fmt_digest *trusted)
{
        sample_image_open(image);
        for (const char *word = words; *word; word++) {
                char path[8] = {*word, '\0'};
                add_program(image, path, path);
        }
        if (trusted)
                REQUIRE(fmt_manifest_trust(image->manifest, trusted) == 0);
        sample_image_close(image);
}

static void expect_output(struct session_harness *harness, const char *path)
{
        _cleanup_free_ char *output = harness_ask_and_run(harness, path);
        REQUIRE(output[0] == path[0]);
}

static bool is_cached(struct session_harness *harness, const char *path)
{
        struct jit_program *program = harness_load(harness, path);
        int fd = -1, r = jit_session_lookup(harness->session, program, &fd);
        if (r == 0)
                close(fd);
        jit_program_free(program);
        return r == 0;
}

/* Flips a bit in every kept result. */
static void damage_results(struct session_harness *harness)
{
        char command[4096];
        snprintf(command, sizeof command,
                "for f in %s/v1/modules/*/entries/llvmcache-*; do chmod u+w $f && "
                "printf '\\377' | dd of=$f bs=1 seek=200 conv=notrunc status=none; done",
                cache_directory(harness->cache));
        REQUIRE(system(command) == 0);
}

int main(void)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image first, next, stranger;
        struct session_harness harness;
        struct fmt_digest root;
        char cache[64];

        /* Within one image. */
        open_image(&first, "abd", NULL);
        fmt_bundle_root(first.bundle, &root);
        harness_open(&harness, &first, spawner, "cache", NULL, NULL);
        expect_output(&harness, "a");
        REQUIRE(harness_counter(&harness, CACHE_MODULE_HITS) == 0);
        REQUIRE(harness_counter(&harness, CACHE_MODULE_MISSES) == 2);
        expect_output(&harness, "b");
        REQUIRE(harness_counter(&harness, CACHE_MODULE_HITS) == 1);
        REQUIRE(harness_counter(&harness, CACHE_MODULE_MISSES) == 3);
        harness_close(&harness);

        /* An image that trusts it finds its results, and programs made of them. The caches are
         * one and the same: the images only keep their scratch folders apart. */
        snprintf(cache, sizeof cache, "../%s/cache", strrchr(first.folder, '/') + 1);
        open_image(&next, "bc", &root);
        harness_open(&harness, &next, spawner, cache, NULL, NULL);
        REQUIRE(is_cached(&harness, "b"));
        expect_output(&harness, "c");
        REQUIRE(harness_counter(&harness, CACHE_MODULE_HITS) == 2);
        harness_close(&harness);

        /* A stranger with the same modules finds what was made of nothing but the program, and
         * nothing that module results of others went into. */
        open_image(&stranger, "abc", NULL);
        harness_open(&harness, &stranger, spawner, cache, NULL, NULL);
        REQUIRE(is_cached(&harness, "a"));
        REQUIRE(!is_cached(&harness, "b"));
        expect_output(&harness, "c");
        REQUIRE(harness_counter(&harness, CACHE_MODULE_HITS) == 2);
        harness_close(&harness);

        /* Damaged results are noticed and compiled again. */
        harness_open(&harness, &first, spawner, "cache", NULL, NULL);
        damage_results(&harness);
        expect_output(&harness, "d");
        REQUIRE(harness_counter(&harness, CACHE_MODULE_HITS) == 2);
        REQUIRE(harness_counter(&harness, CACHE_DAMAGED) > 0);
        harness_close(&harness);

        sample_image_done(&stranger);
        sample_image_done(&next);
        sample_image_done(&first);
        jit_spawner_stop(spawner);
        return 0;
}
