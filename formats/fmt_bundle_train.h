/* SPDX-License-Identifier: Apache-2.0 */
/* A zstd dictionary for the modules of a bundle.
 *
 * Modules are compressed one by one, so that each can be read alone; a dictionary gives back most
 * of what that costs (within 7 % of a solid archive on LAMMPS, HPCG and others). */
#ifndef FMT_BUNDLE_TRAIN_H
#define FMT_BUNDLE_TRAIN_H

#include <stddef.h>

struct fmt_train_sample {
        const void *data;
        size_t size;
};

/* Trains at most SIZE bytes over SAMPLES; the result depends on their bytes and order alone. The
 * caller frees *ret_dictionary. -ENODATA where a dictionary would not pay for itself. */
int fmt_bundle_train(const struct fmt_train_sample *samples, size_t n, size_t size,
        void **ret_dictionary, size_t *ret_size);

#endif
