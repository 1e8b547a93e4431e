/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions as text for people. */
#include "fmt_size.h"
#include "inspect_parts.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

static uint64_t number(const json_t *object, const char *key)
{
        return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool is_set(const json_t *object, const char *key)
{
        return json_is_true(json_object_get(object, key));
}

static const char *plural(size_t count)
{
        return count == 1 ? "" : "s";
}

static uint64_t sum(const json_t *list, const char *key)
{
        uint64_t total = 0;
        const json_t *item;
        size_t index;

        json_array_foreach (list, index, item) {
                total += number(item, key);
        }
        return total;
}

static void print_list(const char *label, const json_t *list)
{
        const json_t *item;
        size_t index;

        if (json_array_size(list) == 0)
                return;
        printf("%s", label);
        json_array_foreach (list, index, item) {
                const char *name =
                        json_is_string(item) ? json_string_value(item) : text(item, "name");
                printf("%s%s", index ? ", " : " ", name ? name : "?");
        }
        printf("\n");
}

static void print_module(const json_t *module)
{
        char size[FMT_SIZE_TEXT], stored[FMT_SIZE_TEXT];
        const char *name = text(module, "name");

        printf("      %-28s %10s", name ? name : "(no name)",
                fmt_size_text(number(module, "size"), size));
        if (json_object_get(module, "stored_size"))
                printf(" %10s compressed", fmt_size_text(number(module, "stored_size"), stored));
        if (text(module, "extras"))
                printf("; functions ask for %s", text(module, "extras"));
        if (text(module, "required"))
                printf("; needs %s", text(module, "required"));
        if (is_set(module, "captured_only"))
                printf("; compiled with these features only, since wide vectors cross its border");
        if (is_set(module, "not_optimised"))
                printf("; built with -O0, will not be specialised");
        if (is_set(module, "lazy"))
                printf("; linked if something needs it");
        if (text(module, "unusable"))
                printf("; UNUSABLE: %s", text(module, "unusable"));
        printf("\n");
}

static void print_modules(const json_t *list)
{
        char size[FMT_SIZE_TEXT], stored[FMT_SIZE_TEXT];
        size_t count = json_array_size(list);
        const json_t *module;
        size_t index;

        printf("    %zu module%s, %s", count, plural(count),
                fmt_size_text(sum(list, "size"), size));
        if (sum(list, "stored_size") > 0)
                printf(", %s compressed", fmt_size_text(sum(list, "stored_size"), stored));
        printf("\n");
        json_array_foreach (list, index, module) {
                print_module(module);
        }
}

static void print_recipe(const json_t *recipe)
{
        if (text(recipe, "interpreter"))
                printf("    interpreter: %s\n", text(recipe, "interpreter"));
        if (text(recipe, "soname"))
                printf("    soname: %s\n", text(recipe, "soname"));
        if (text(recipe, "rpath"))
                printf("    rpath: %s\n", text(recipe, "rpath"));
        print_list("    needed:", json_object_get(recipe, "needed"));
        print_list("    link options:", json_object_get(recipe, "options"));
        if (is_set(recipe, "interposable"))
                printf("    nothing is imported from one module into another\n");
}

static void print_variant(const json_t *variant)
{
        const json_t *recipe = json_object_get(variant, "recipe");

        printf("  variant %s: %s, linked by %s", text(variant, "name"), text(recipe, "kind"),
                text(recipe, "linker"));
        if (text(variant, "required"))
                printf(", needs %s", text(variant, "required"));
        printf("\n");
        print_recipe(recipe);
        print_modules(json_object_get(variant, "modules"));
        print_list("    native inputs:", json_object_get(variant, "native_inputs"));
        print_list("    linked against:", json_object_get(variant, "stubs"));
}

void inspect_print_record(const json_t *object)
{
        const json_t *variants = json_object_get(object, "variants");
        const json_t *native = json_object_get(object, "kept_native");
        const json_t *item;
        size_t index;

        if (text(object, "producer"))
                printf("  bitcode by: %s\n", text(object, "producer"));
        json_array_foreach (variants, index, item) {
                print_variant(item);
        }
        json_array_foreach (native, index, item) {
                printf("  %s: %s\n",
                        json_array_size(variants) ? "native part" : "stays native, because",
                        json_string_value(item));
        }
}

static void print_elf(const json_t *elf)
{
        char size[FMT_SIZE_TEXT];

        printf("  %s, %s\n", text(elf, "type"), fmt_size_text(number(elf, "size"), size));
        if (json_object_get(elf, "machine"))
                printf("  for another machine than x86-64 (ELF machine %u)\n",
                        (unsigned)number(elf, "machine"));
        if (text(elf, "interpreter"))
                printf("  interpreter: %s\n", text(elf, "interpreter"));
        if (text(elf, "soname"))
                printf("  soname: %s\n", text(elf, "soname"));
        if (text(elf, "rpath"))
                printf("  rpath: %s\n", text(elf, "rpath"));
        print_list("  needed:", json_object_get(elf, "needed"));
        print_list("  compiled by:", json_object_get(elf, "compilers"));
}

static void print_plain(const char *path, const json_t *object)
{
        printf("%s: not captured\n", path);
        print_elf(json_object_get(object, "elf"));
        printf("  It has no program record, so it runs as it is and is never specialised. Build it "
               "with\n"
               "  `xaas build -- make` (or what builds it). If that was done: llvm-strip removes "
               "records, GNU\n"
               "  strip keeps them; and what is not linked through `ld`, cc or c++ on PATH is not "
               "seen.\n");
}

static void print_fat(const char *path, const json_t *object)
{
        char record[FMT_SIZE_TEXT], promised[FMT_SIZE_TEXT];
        bool portable = json_array_size(json_object_get(object, "variants")) > 0;

        printf("%s: %s, record of %s\n", path, portable ? "captured" : "captured, but stays native",
                fmt_size_text(number(object, "record_size"), record));
        print_elf(json_object_get(object, "elf"));
        if (portable)
                printf("  size in an image: %s on every host\n",
                        fmt_size_text(number(object, "promised_size"), promised));
        inspect_print_record(object);
}

static void print_mounted(const char *path, const json_t *object)
{
        const json_t *mounted = json_object_get(object, "mounted");

        printf("%s: portable object of a mounted image\n", path);
        printf("  state: %s\n", text(mounted, "state"));
        if (text(mounted, "policy"))
                printf("  policy: %s\n", text(mounted, "policy"));
        if (text(mounted, "opens"))
                printf("  opened since the mount began: %s\n", text(mounted, "opens"));
        print_elf(json_object_get(object, "elf"));
}

static void print_archive(const char *path, const json_t *object)
{
        const json_t *members = json_object_get(object, "members");
        const json_t *member;
        size_t index;
        size_t with = 0;

        json_array_foreach (members, index, member) {
                with += json_array_size(json_object_get(member, "modules")) > 0;
        }
        printf("%s: archive, %zu of %zu member%s with bitcode\n", path, with,
                json_array_size(members), plural(json_array_size(members)));
        json_array_foreach (members, index, member) {
                const json_t *modules = json_object_get(member, "modules");
                const json_t *module;
                size_t each;
                if (json_array_size(modules) == 0)
                        printf("      %-28s native only\n", text(member, "name"));
                json_array_foreach (modules, each, module) {
                        print_module(module);
                }
        }
}

static void print_program(const json_t *program)
{
        char size[FMT_SIZE_TEXT];
        uint64_t modules = number(program, "modules");
        const json_t *native = json_object_get(program, "kept_native");
        const json_t *part;
        size_t index;

        printf("    %s: %s", text(program, "path"),
                fmt_size_text(number(program, "promised_size"), size));
        if (modules > 0)
                printf(", %u module%s", (unsigned)modules, plural(modules));
        if (number(program, "variants") > 1)
                printf(", %u variants", (unsigned)number(program, "variants"));
        printf("%s\n", is_set(program, "baseline") ? "" : ", lean");
        json_array_foreach (native, index, part) {
                printf("      native part: %s\n", json_string_value(part));
        }
}

static void print_image(const char *path, const json_t *object)
{
        const json_t *programs = json_object_get(object, "programs");
        const json_t *stored = json_object_get(object, "stored");
        const json_t *item;
        const char *kind;
        char raw[FMT_SIZE_TEXT], packed[FMT_SIZE_TEXT];
        size_t index;

        if (json_array_size(programs) == 0) {
                printf("%s: image without portable objects\n", path);
                return;
        }
        printf("%s: image with %zu portable object%s\n", path, json_array_size(programs),
                plural(json_array_size(programs)));
        printf("  %u different modules, used %u times\n", (unsigned)number(object, "modules"),
                (unsigned)number(object, "module_references"));
        json_object_foreach ((json_t *)stored, kind, item) {
                if (number(item, "count") > 0)
                        printf("  %-16s %6u %10s, stored in %s\n", kind,
                                (unsigned)number(item, "count"),
                                fmt_size_text(number(item, "size"), raw),
                                fmt_size_text(number(item, "stored_size"), packed));
        }
        printf("  root: %s\n", text(object, "root"));
        print_list("  trusts:", json_object_get(object, "trusted"));
        printf("  programs, with the size that they have on every host:\n");
        json_array_foreach (programs, index, item) {
                print_program(item);
        }
}

void inspect_print(const char *path, const json_t *object)
{
        const char *kind = text(object, "kind");

        if (!strcmp(kind, "elf"))
                print_plain(path, object);
        else if (!strcmp(kind, "mounted"))
                print_mounted(path, object);
        else if (!strcmp(kind, "fat-elf"))
                print_fat(path, object);
        else if (!strcmp(kind, "merged-object")) {
                printf("%s: object that `ld -r` made of several with bitcode\n", path);
                inspect_print_record(object);
        } else if (!strcmp(kind, "archive"))
                print_archive(path, object);
        else if (!strcmp(kind, "image") && json_object_get(object, "program")) {
                printf("%s:\n", path);
                print_program(json_object_get(object, "program"));
                inspect_print_record(object);
        } else if (!strcmp(kind, "image"))
                print_image(path, object);
        else {
                printf("%s: %s\n", path,
                        !strcmp(kind, "object") ? "object with bitcode beside its code"
                                                : "bitcode");
                print_modules(json_object_get(object, "modules"));
        }
}
