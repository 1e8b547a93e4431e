/* SPDX-License-Identifier: Apache-2.0 */
/* usage: libfuzzer-TARGET [FOLDER...] [-OPTION=VALUE...]: see fuzz.h, and tools/fuzz, which gives
 * it its folders. The seeds are written into the first folder, where they are not yet. */
#include "fuzz.h"
#include "unit_check.h"

#include <fcntl.h>
#include <unistd.h>

/* What libFuzzer calls, and what it offers. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        uint8_t *data;
        size_t size;

        if (*argc < 2 || (*argv)[1][0] == '-')
                return 0;
        for (unsigned number = 0; (data = fuzz_seed(number, &size)); number++) {
                char path[4096];
                snprintf(path, sizeof path, "%s/seed-%u", (*argv)[1], number);
                int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
                /* A file in the first place is an input to try again. */
                if (fd >= 0) {
                        REQUIRE(write(fd, data, size) == (ssize_t)size);
                        close(fd);
                }
                free(data);
        }
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_accepts(data, size);
        return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
        uint64_t random = seed ? seed : 1;

        /* What knows nothing finds what nobody thought of, and combines what was found. */
        if (unit_random(&random) % 3 == 0)
                return LLVMFuzzerMutate(data, size, capacity);
        return fuzz_mutate(data, size, capacity, &random);
}
