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

#define MOST_INPUTS 1000
#define DEFAULT_TURNS 4000
/* Bytes by which a mutation may make its input larger. */
#define ROOM 1024

struct input {
        uint8_t *data;
        size_t size;
};

static struct input inputs[MOST_INPUTS];
static size_t n_inputs;

static void load(int folder, const char *name)
{
        struct stat st;
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

        REQUIRE(fd >= 0 && fstat(fd, &st) == 0 && n_inputs < MOST_INPUTS);
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

int main(int argc, char **argv)
{
        uint64_t random = unit_seed();
        uint8_t *data;
        size_t size;

        REQUIRE(argc > 1);
        long turns = argc > 2 ? atol(argv[2]) : DEFAULT_TURNS;
        check_corpus(argv[1]);
        size_t n_files = n_inputs;
        for (unsigned number = 0; (data = fuzz_seed(number, &size)); number++) {
                CHECK(fuzz_accepts(data, size));
                REQUIRE(n_inputs < MOST_INPUTS);
                inputs[n_inputs++] = (struct input){data, size};
        }
        for (long turn = 0; turn < turns; turn++) {
                /* The seeds, every other time. */
                const size_t from = turn % 2 ? n_files : 0;
                const struct input *input =
                        &inputs[from + unit_random(&random) % (n_inputs - from)];
                uint8_t *changed = malloc(input->size + ROOM);
                REQUIRE(changed);
                memcpy(changed, input->data, input->size);
                fuzz_accepts(
                        changed, fuzz_mutate(changed, input->size, input->size + ROOM, &random));
                free(changed);
        }
        for (size_t i = 0; i < n_inputs; i++)
                free(inputs[i].data);
        return unit_report();
}
