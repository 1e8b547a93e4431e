/* SPDX-License-Identifier: Apache-2.0 */
/* `xaas inspect` describes a file as one JSON object, which is printed as it is (--json) or as
 * text. Each describer fills OBJECT, whose "kind" is one of
 *
 *     fat-elf   executable or shared library with a program record
 *     elf       without one
 *     object    relocatable object with bitcode beside its code
 *     merged-object  what `ld -r` made of several of them
 *     archive   of such objects
 *     bitcode   a module by itself
 *     mounted   portable object that a mount serves
 *     image     squashfs
 *
 * and prints what is wrong. All return 0 or a negative errno. */
#ifndef INSPECT_PARTS_H
#define INSPECT_PARTS_H

#include "fmt_bundle.h"
#include "fmt_record.h"

#include <jansson.h>

struct jit_spawner;

/* ---- modules as the compiler wrote them: what they ask for is found by normalising them ---- */

struct inspect_modules {
        struct inspect_module {
                json_t *object; /* its description; borrowed */
                void *data;
                size_t size;
        } * list;
        size_t count;
};

/* Takes over DATA, also on failure. */
int inspect_modules_add(struct inspect_modules *modules, json_t *object, void *data, size_t size);

/* Completes the descriptions: extras, required, captured_only, not_optimised, unusable. */
int inspect_modules_look(struct inspect_modules *modules, struct jit_spawner *spawner);
void inspect_modules_done(struct inspect_modules *modules);

/* ---- describers ---- */

int inspect_elf(int fd, const char *path, struct inspect_modules *modules, json_t *object);
int inspect_archive(int fd, const char *path, struct inspect_modules *modules, json_t *object);
int inspect_bitcode(int fd, struct inspect_modules *modules, json_t *object);

/* After inspect_elf: what the mount that FD is a file of tells of it. -ENODATA: nothing. */
int inspect_mounted(int fd, json_t *object);

/* PROGRAM: a path within the image, or NULL for all of it. Starts a process. */
int inspect_image(const char *path, const char *program, json_t *object);

/* Puts producer, variants and kept_native of RECORD into OBJECT; sizes come from BUNDLE. MODULES
 * gets what is not in normal form; NULL: nothing. */
int inspect_record(const struct fmt_record *record, const struct fmt_bundle *bundle,
        struct inspect_modules *modules, json_t *object);

/* ---- text ---- */

void inspect_print(const char *path, const json_t *object);
void inspect_print_record(const json_t *object);

#endif
