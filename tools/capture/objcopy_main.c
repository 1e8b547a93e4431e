/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-objcopy: objcopy and llvm-strip, kept from parting native code and bitcode.
 *
 * An objcopy that renames, hides or drops symbols changes an object's native half only; a relink
 * would go by the other half and make another program. Such objects lose their bitcode and stay
 * native. And llvm-strip drops sections it does not know, the program record among them. */
#include "capture_log.h"
#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "fmt_record.h"
#include "jit_recipe.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

static bool begins_with_any(const char *word, const char *const *list)
{
        for (; *list; list++)
                if (strncmp(word, *list, strlen(*list)) == 0)
                        return true;
        return false;
}

static bool changes_symbols(char *const *words)
{
        static const char *const changing[] = {"--redefine-sym", "--prefix-symbols",
                "--prefix-sections", "--prefix-alloc-sections", "--localize-", "--globalize-",
                "--weaken", "--strip-symbol", "--strip-unneeded-symbol", "--keep-symbol",
                "--keep-global-symbol", "--add-symbol", "--rename-section", "--update-section",
                "--change-", "--adjust-", "--set-section-", "--remove-section", "--only-section",
                "--change-leading-char", "--remove-leading-char", "--set-visibility",
                "--new-symbol-visibility", "--set-symbol-visibility", "-L", "-G", "-W", "-N", "-K",
                "-R", "-j", NULL};
        for (; *words; words++)
                if (begins_with_any(*words, changing))
                        return true;
        return false;
}

/* The file that is written: the last word. */
static const char *output_of(char *const *words)
{
        size_t n = fmt_strings_count(words);
        return n > 0 && words[n - 1][0] != '-' ? words[n - 1] : NULL;
}

/* The real tool: NAME, or with LLVM's version behind it, or GNU's of that kind. */
static int find_tool(const char *name, char **ret)
{
        _cleanup_free_ char *versioned = NULL;
        if (capture_find(name, ret) == 0)
                return 0;
        if (asprintf(&versioned, "%s-19", name) < 0)
                return -ENOMEM;
        if (capture_find(versioned, ret) == 0)
                return 0;
        return strncmp(name, "llvm-", 5) == 0 ? capture_find(name + 5, ret) : -ENOENT;
}

/* ELF objects and archives of them; an object without bitcode is left as it is. */
static int drop_bitcode(const char *tool, const char *path)
{
        char option[] = "--remove-section=" FMT_ELF_BITCODE_SECTION;
        char *argv[] = {(char *)(uintptr_t)tool, option, (char *)(uintptr_t)path, NULL};
        char magic[8] = "";
        uint64_t offset = 0, size = 0;
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file || fread(magic, 1, sizeof(magic), file) != sizeof(magic))
                return 0;
        if (memcmp(magic, "!<arch>\n", 8) != 0 &&
                fmt_elf_find_section(fileno(file), FMT_ELF_BITCODE_SECTION, &offset, &size) < 0)
                return 0;
        capture_log_uncaptured(path, "objcopy changed the symbols of its native code");
        return capture_run(tool, argv, NULL);
}

static int build(const char *tool, char *const *words, bool keeps, char ***ret)
{
        int r = fmt_strings_append(ret, tool);
        if (r == 0 && keeps)
                r = fmt_strings_append(ret, "--keep-section=" FMT_RECORD_SECTION);
        if (r == 0 && keeps)
                r = fmt_strings_append(ret, "--keep-section=" FMT_ELF_BITCODE_SECTION);
        for (; *words && r == 0; words++)
                r = fmt_strings_append(ret, *words);
        return r;
}

static int run(const char *tool, bool strips, char *const *argv)
{
        _cleanup_(free_words) char **words = NULL;
        _cleanup_(free_words) char **command = NULL;
        bool is_llvm = strstr(capture_base_name(tool), "llvm-") != NULL;
        int r = jit_response_expand(argv, &words);
        if (r == 0)
                r = build(tool, words, is_llvm && words[0], &command);
        if (r < 0)
                return r;
        const char *output = output_of(words);
        if (strips || !output || !changes_symbols(words))
                return capture_become(tool, command);
        int status = capture_run(tool, command, NULL);
        return status != 0 ? status : drop_bitcode(tool, output);
}

int main(int argc, char **argv)
{
        const char *name = argc > 0 ? capture_base_name(argv[0]) : "objcopy";
        _cleanup_free_ char *tool = NULL;
        fmt_log_setup(name, FMT_LOG_INFO);
        if (strncmp(name, "xaas-", 5) == 0)
                name += 5;
        int r = find_tool(name, &tool);
        if (r == 0)
                r = run(tool, strstr(name, "strip") != NULL, argv + (argc > 0));
        if (r >= 0)
                return r;
        fmt_error("cannot run %s: %s; install binutils or llvm-19", name, strerror(-r));
        return 127;
}
