/* SPDX-License-Identifier: Apache-2.0 */
/* What was chosen before: shown, taken back, carried to other machines. */
#ifndef TUNE_CHOICES_H
#define TUNE_CHOICES_H

#include "cache_store.h"

#include <stdbool.h>

/* All print what is wrong and return an exit status. */
int tune_choices_list(struct cache *cache, bool json);

/* FILE is one JSON object:
 *
 *     {"xaas-choices": 1, "choices": [{"name": DIGEST, "program": …, "target": …, "policy": …,
 *      "why": …}, …]}
 *
 * A name covers the program and the target (jit_choice.h): a choice is found by whom it is for. */
int tune_choices_export(struct cache *cache, const char *file);
int tune_choices_import(struct cache *cache, const char *file);

#endif
