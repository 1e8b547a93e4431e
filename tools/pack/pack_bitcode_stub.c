/* SPDX-License-Identifier: Apache-2.0 */
/* Until jit/ brings modules into their normal form: they are stored as they are. */
#include "jit_bitcode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

__attribute__((weak)) void jit_bitcode_result_done(struct jit_bitcode_result *result)
{
        free(result->reason);
        free(result->data);
}

__attribute__((weak)) int jit_bitcode_normalise(struct jit_spawner *spawner,
        const struct jit_bitcode_input *inputs, size_t n, bool keep_debug, unsigned threads,
        void (*progress)(void *context, size_t done, size_t total), void *context,
        struct jit_bitcode_result *results)
{
        (void)spawner, (void)keep_debug, (void)threads;
        for (size_t i = 0; i < n; i++) {
                results[i].data = malloc(inputs[i].size + 1);
                if (!results[i].data)
                        return -ENOMEM;
                memcpy(results[i].data, inputs[i].data, inputs[i].size);
                results[i].size = inputs[i].size;
                if (progress)
                        progress(context, i + 1, n);
        }
        return 0;
}
