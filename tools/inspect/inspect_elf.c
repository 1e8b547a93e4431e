/* SPDX-License-Identifier: Apache-2.0 */
#include "fat_elf.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "fmt_manifest.h"
#include "inspect_parts.h"

#include <elf.h>
#include <string.h>
#include <sys/stat.h>

/* .comment names every compiler that had a part in the file; more is cut off. */
#define MAX_COMMENT 4096

static void set_text(json_t *object, const char *key, const char *text)
{
        if (text)
                json_object_set_new(object, key, json_string(text));
}

static int read_section(int fd, const char *name, uint64_t most, void **ret, size_t *ret_size)
{
        uint64_t offset;
        uint64_t size;

        int r = fmt_elf_find_section(fd, name, &offset, &size);
        if (r < 0)
                return r;
        if (size > most)
                return -EFBIG;
        _cleanup_free_ char *data = malloc(size + 1);
        if (!data)
                return -ENOMEM;
        struct fmt_source_fd part = {.fd = fd, .offset = offset, .size = size};
        struct fmt_source source = fmt_source_of_fd(&part);
        r = source.read(source.context, data, size, 0);
        if (r < 0)
                return r;
        data[size] = '\0';
        *ret = steal_pointer(&data);
        *ret_size = size;
        return 0;
}

static void add_compilers(int fd, json_t *object)
{
        _cleanup_free_ char *comment = NULL;
        json_t *compilers = json_array();
        size_t size;

        json_object_set_new(object, "compilers", compilers);
        if (read_section(fd, ".comment", MAX_COMMENT, (void **)&comment, &size) < 0)
                return;
        for (size_t at = 0; at < size; at += strlen(comment + at) + 1)
                if (comment[at])
                        json_array_append_new(compilers, json_string(comment + at));
}

static const char *type_text(const struct fmt_elf_facts *facts)
{
        switch (facts->type) {
        case ET_REL:
                return "relocatable object";
        case ET_EXEC:
                return facts->has_dynamic ? "executable" : "static executable";
        case ET_DYN:
                if (facts->interpreter)
                        return "position-independent executable";
                return facts->is_pie ? "static position-independent executable" : "shared library";
        default:
                return "ELF file";
        }
}

static void add_facts(int fd, const struct fmt_elf_facts *facts, json_t *object)
{
        json_t *elf = json_object();
        json_t *needed = json_array();

        json_object_set_new(object, "elf", elf);
        set_text(elf, "type", type_text(facts));
        if (facts->machine != EM_X86_64)
                json_object_set_new(elf, "machine", json_integer(facts->machine));
        json_object_set_new(elf, "size", json_integer((json_int_t)facts->size));
        set_text(elf, "interpreter", facts->interpreter);
        set_text(elf, "soname", facts->soname);
        set_text(elf, "rpath", facts->rpath);
        json_object_set_new(elf, "needed", needed);
        for (size_t i = 0; facts->needed[i]; i++)
                json_array_append_new(needed, json_string(facts->needed[i]));
        add_compilers(fd, elf);
}

static int describe_fat(int fd, const char *path, struct inspect_modules *modules, json_t *object)
{
        _cleanup_(fat_elf_done) struct fat_elf fat = {0};
        _cleanup_close_ int packed = -1;
        struct stat st;

        set_text(object, "kind", "fat-elf");
        int r = fat_elf_open(fd, &fat);
        if (r < 0) {
                fmt_error("cannot read the program record of %s: %s; build it again", path,
                        r == -EPROTONOSUPPORT ? "it was written by a later version of xaas"
                                              : strerror(-r));
                return r;
        }
        json_object_set_new(object, "record_size", json_integer((json_int_t)fat.part.size));
        /* The promise that pack would make: it drops record and debug information. */
        if (fat_elf_strip(fd, false, &packed) == 0 && fstat(packed, &st) == 0)
                json_object_set_new(object, "promised_size",
                        json_integer((json_int_t)fmt_promised_size((uint64_t)st.st_size)));
        return inspect_record(fat.record, fat.bundle, modules, object);
}

static json_t *new_module(json_t *list, const char *name, size_t size)
{
        json_t *module = json_object();

        set_text(module, "name", name);
        json_object_set_new(module, "size", json_integer((json_int_t)size));
        json_object_set_new(module, "raw", json_true());
        json_array_append_new(list, module);
        return module;
}

/* What `ld -r` made: a bundle in place of the bitcode, whose root is a record of the parts. */
static int describe_parts(
        const void *data, size_t size, struct inspect_modules *modules, json_t *object)
{
        struct fmt_source_memory memory = {.data = data, .size = size};
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_free_ void *json = NULL;
        struct fmt_bundle *bundle;
        struct fmt_digest root;
        size_t json_size;

        int r = fmt_bundle_open(fmt_source_of_memory(&memory), &bundle);
        if (r < 0)
                return r;
        fmt_bundle_root(bundle, &root);
        r = fmt_bundle_read(bundle, &root, &json, &json_size);
        if (r == 0)
                r = fmt_record_decode(json, json_size, &record);
        if (r == 0)
                r = inspect_record(record, bundle, modules, object);
        fmt_bundle_free(bundle);
        return r;
}

static int describe_bitcode(
        const char *path, void *data, size_t size, struct inspect_modules *modules, json_t *object)
{
        json_t *list = json_array();
        const char *slash = strrchr(path, '/');

        set_text(object, "kind", "object");
        json_object_set_new(object, "modules", list);
        return inspect_modules_add(
                modules, new_module(list, slash ? slash + 1 : path, size), data, size);
}

static int describe_object(
        int fd, const char *path, struct inspect_modules *modules, json_t *object)
{
        void *data;
        size_t size;

        int r = read_section(fd, FMT_ELF_BITCODE_SECTION, UINT64_C(1) << 31, &data, &size);
        if (r == 0 && size >= 8 && memcmp(data, "XAASBNDL", 8) == 0) {
                set_text(object, "kind", "merged-object");
                r = describe_parts(data, size, modules, object);
                free(data);
        } else if (r == 0 && size == 0) {
                /* Left empty by an `ld -r` whose options no list of parts can express. */
                set_text(object, "kind", "elf");
                free(data);
        } else if (r == 0) {
                r = describe_bitcode(path, data, size, modules, object);
        }
        if (r < 0)
                fmt_error(
                        "cannot read the bitcode of %s: %s; compile it again", path, strerror(-r));
        return r;
}

int inspect_elf(int fd, const char *path, struct inspect_modules *modules, json_t *object)
{
        struct fmt_elf_facts facts = {0};

        int r = fmt_elf_read(fd, &facts);
        if (r < 0) {
                fmt_error("cannot read the ELF file %s: %s", path,
                        r == -ENOEXEC ? "it is not a 64-bit little-endian one" : strerror(-r));
                return r;
        }
        add_facts(fd, &facts, object);
        if (facts.has_record)
                r = describe_fat(fd, path, modules, object);
        else if (facts.type == ET_REL && facts.has_bitcode)
                r = describe_object(fd, path, modules, object);
        else
                set_text(object, "kind", "elf");
        fmt_elf_facts_done(&facts);
        return r;
}

int inspect_bitcode(int fd, struct inspect_modules *modules, json_t *object)
{
        json_t *list = json_array();
        struct stat st;

        set_text(object, "kind", "bitcode");
        json_object_set_new(object, "modules", list);
        if (fstat(fd, &st) < 0)
                return -errno;
        struct fmt_source_fd part = {.fd = fd, .size = (uint64_t)st.st_size};
        struct fmt_source source = fmt_source_of_fd(&part);
        char *data = malloc(part.size + 1);
        int r = data ? source.read(source.context, data, part.size, 0) : -ENOMEM;
        if (r < 0) {
                free(data);
                return r;
        }
        return inspect_modules_add(modules, new_module(list, NULL, part.size), data, part.size);
}
