/* SPDX-License-Identifier: Apache-2.0 */
/* usage: fuzz-TARGET CORPUS [TURNS]: see fuzz.h. */
#include "fuzz.h"
#include "unit_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 1000
#define DEFAULT_TURNS 4000

struct input {
        uint8_t *data;
        size_t size;
};

static struct input inputs[MOST_FILES + 1];
static size_t n_inputs;

static void load(int folder, const char *name)
{
        struct stat st;
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

        REQUIRE(fd >= 0 && fstat(fd, &st) == 0 && n_inputs < MOST_FILES);
        struct input *input = &inputs[n_inputs++];
        input->size = (size_t)st.st_size;
        input->data = malloc(input->size + 1);
        REQUIRE(input->data && read(fd, input->data, input->size) == (ssize_t)input->size);
        close(fd);
}

/* Every file here was made to be refused, or was a crash once. */
static void check_corpus(const char *path)
{
        DIR *folder = opendir(path);
        struct dirent *entry;

        REQUIRE(folder);
        while ((entry = readdir(folder))) {
                if (entry->d_name[0] == '.')
                        continue;
                load(dirfd(folder), entry->d_name);
                if (fuzz_accepts(inputs[n_inputs - 1].data, inputs[n_inputs - 1].size)) {
                        fprintf(stderr, "%s/%s was taken for valid\n", path, entry->d_name);
                        unit_failures++;
                }
        }
        closedir(folder);
        REQUIRE(n_inputs > 0);
}

/* Few bytes change, by values that tend to matter; sometimes the end is lost or something is
 * copied over something else. */
static size_t mutate(const struct input *input, uint8_t *out, uint64_t *random)
{
        static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '[', '{', ',', '-'};
        size_t size = input->size;

        memcpy(out, input->data, size);
        if (size == 0)
                return 0;
        for (uint64_t n = 1 + unit_random(random) % 4; n > 0; n--) {
                size_t at = unit_random(random) % size;
                size_t from = unit_random(random) % size;
                /* Where the header lies, every other time. */
                if (unit_random(random) % 2 && size > 128)
                        at %= 128;
                if (unit_random(random) % 8 == 0)
                        memmove(out + at, out + from, (size - (at > from ? at : from)) % 64);
                else if (unit_random(random) % 2)
                        out[at] = values[unit_random(random) % sizeof values];
                else
                        out[at] = (uint8_t)unit_random(random);
        }
        return unit_random(random) % 16 ? size : unit_random(random) % size;
}

int main(int argc, char **argv)
{
        uint64_t random = unit_seed();
        struct input seed;

        REQUIRE(argc > 1);
        long turns = argc > 2 ? atol(argv[2]) : DEFAULT_TURNS;
        seed.data = fuzz_seed(&seed.size);
        CHECK(fuzz_accepts(seed.data, seed.size));
        check_corpus(argv[1]);
        size_t n_files = n_inputs;
        inputs[n_inputs++] = seed;
        for (long turn = 0; turn < turns; turn++) {
                const struct input *input =
                        &inputs[turn % 2 ? n_files : unit_random(&random) % n_files];
                uint8_t *changed = malloc(input->size + 1);
                REQUIRE(changed);
                fuzz_accepts(changed, mutate(input, changed, &random));
                free(changed);
        }
        for (size_t i = 0; i < n_inputs; i++)
                free(inputs[i].data);
        return unit_report();
}
