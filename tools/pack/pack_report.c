/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_report.h"

#include "fmt_size.h"

#include <stdio.h>
#include <time.h>

/* More of one kind are counted, not listed. */
#define MAX_LISTED 20

static bool line_is_open;

void pack_report_progress(void *context, const char *what, size_t done, size_t total)
{
        static struct timespec last;
        struct timespec now;
        (void)context;

        clock_gettime(CLOCK_MONOTONIC, &now);
        long since = (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
        if (since < 100 && done != total)
                return;
        last = now;
        if (total > 0)
                fprintf(stderr, "\r\033[K%s: %zu of %zu", what, done, total);
        else
                fprintf(stderr, "\r\033[K%s", what);
        fflush(stderr);
        line_is_open = true;
}

void pack_report_progress_end(void)
{
        if (line_is_open)
                fputs("\r\033[K", stderr);
        line_is_open = false;
}

static const char *plural(size_t count)
{
        return count == 1 ? "" : "s";
}

static void print_programs(const struct pack_programs *programs)
{
        size_t native = programs->count - programs->portable;

        printf("  programs: %zu portable object%s", programs->portable, plural(programs->portable));
        if (native > 0)
                printf(", %zu captured but native", native);
        if (programs->plain_elfs > 0)
                printf(", %zu ELF file%s not captured", programs->plain_elfs,
                        plural(programs->plain_elfs));
        printf("\n");
}

static void print_modules(const struct pack_programs *programs, uint64_t bundle_size)
{
        char elfs[FMT_SIZE_TEXT], bitcode[FMT_SIZE_TEXT], stored[FMT_SIZE_TEXT];

        if (programs->portable == 0)
                return;
        printf("  modules: %zu, %zu more use%s shared with another program\n",
                programs->used_modules, programs->shared, plural(programs->shared));
        printf("  bitcode: %s for %s of generic ELF, stored in %s with everything else a link "
               "needs\n",
                fmt_size_text(programs->bitcode, bitcode),
                fmt_size_text(programs->elf_bytes, elfs), fmt_size_text(bundle_size, stored));
}

static void print_native(const struct pack_programs *programs)
{
        size_t said = 0;

        for (size_t i = 0; i < programs->count; i++) {
                const struct pack_program *program = programs->list[i];
                if (!program->native || ++said > MAX_LISTED)
                        continue;
                printf("  stays native: %s: %s\n", program->name->path, program->native);
        }
        if (said > MAX_LISTED)
                printf("  … and %zu more stay native\n", said - MAX_LISTED);
}

static void print_native_parts(const struct pack_programs *programs)
{
        size_t said = 0;

        for (size_t i = 0; i < programs->count; i++) {
                const struct pack_program *program = programs->list[i];
                if (program->native || !program->record)
                        continue;
                for (char **part = program->record->kept_native; *part; part++)
                        if (++said <= MAX_LISTED)
                                printf("  native part of %s: %s\n", program->name->path, *part);
        }
        if (said > MAX_LISTED)
                printf("  … and %zu more native parts; `xaas inspect IMAGE` lists them\n",
                        said - MAX_LISTED);
}

static void print_unoptimised(const struct pack_programs *programs)
{
        size_t count = 0;
        const char *example = NULL;

        for (size_t i = 0; i < programs->count; i++)
                if (!programs->list[i]->native && programs->list[i]->not_optimised) {
                        count++;
                        if (!example)
                                example = programs->list[i]->name->path;
                }
        if (count > 0)
                printf("  not specialised: %zu program%s built with -O0, such as %s; build with "
                       "-O2 or -O3\n",
                        count, plural(count), example);
}

void pack_report_summary(const char *path, const struct pack_tree *tree,
        const struct pack_programs *programs, uint64_t bundle_size, uint64_t image_size)
{
        char before[FMT_SIZE_TEXT], after[FMT_SIZE_TEXT];

        printf("%s: %s, from %zu files with %s\n", path, fmt_size_text(image_size, after),
                tree->n_names, fmt_size_text(tree->data_size, before));
        print_programs(programs);
        print_modules(programs, bundle_size);
        print_native(programs);
        print_native_parts(programs);
        print_unoptimised(programs);
}
