/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_status_text.h"

#include "fmt_size.h"

#include <inttypes.h>

#define LABEL "%-13s"

static const char *text(const json_t *object, const char *key)
{
        const char *string = json_string_value(json_object_get(object, key));
        return string != NULL ? string : "?";
}

static uint64_t number(const json_t *object, const char *key)
{
        const json_int_t value = json_integer_value(json_object_get(object, key));
        return value > 0 ? (uint64_t)value : 0;
}

static double seconds(const json_t *object, const char *key)
{
        return json_number_value(json_object_get(object, key));
}

static void print_size(FILE *out, const json_t *object, const char *key)
{
        char size[FMT_SIZE_TEXT];
        fputs(fmt_size_text(number(object, key), size), out);
}

static void print_mount(const json_t *status, FILE *out)
{
        const json_t *image = json_object_get(status, "image");
        const json_t *process = json_object_get(status, "process");
        const json_t *passthrough = json_object_get(status, "passthrough");
        fprintf(out, LABEL "%s\n", "image", text(image, "path"));
        fprintf(out, LABEL, "");
        print_size(out, image, "bytes");
        fprintf(out, ", %" PRIu64 " inodes, %s in blocks of ", number(image, "inodes"),
                text(image, "compressor"));
        print_size(out, image, "block_size");
        fprintf(out, "\n" LABEL "%.0f s, xaasfs %s, process %" PRIu64 "\n", "served for",
                seconds(status, "uptime_seconds"), text(status, "version"), number(process, "pid"));
        fprintf(out, LABEL "%.2f s user, %.2f s system\n" LABEL, "processor",
                seconds(process, "user_seconds"), seconds(process, "system_seconds"), "memory");
        print_size(out, process, "memory_peak_bytes");
        fprintf(out, " at most\n" LABEL, "passthrough");
        if (json_is_true(json_object_get(passthrough, "active")))
                fputs("yes\n", out);
        else
                fprintf(out, "no: %s\n", text(passthrough, "reason"));
}

/* "compiling    /usr/bin/x: linking, 12 of 80 modules, 3.1 s; 2 opens wait". What earlier compiles
 * left need not be compiled, so a compile may be over long before all modules are. */
static void print_compile(const json_t *compile, FILE *out)
{
        const uint64_t modules = number(compile, "modules"), opens = number(compile, "opens"),
                       reusable = number(compile, "modules_reusable");
        fprintf(out, "%s: %s", text(compile, "path"), text(compile, "phase"));
        if (modules > 1)
                fprintf(out, ", %" PRIu64 " of %" PRIu64 " modules",
                        number(compile, "modules_compiled"), modules);
        if (reusable > 0)
                fprintf(out, " (%" PRIu64 " may be known)", reusable);
        fprintf(out, ", %.1f s", seconds(compile, "seconds"));
        if (opens > 0)
                fprintf(out, "; %" PRIu64 " %s", opens, opens == 1 ? "open waits" : "opens wait");
        fputc('\n', out);
}

static void print_compiles(const json_t *status, FILE *out)
{
        const json_t *compiles = json_object_get(status, "compiles");
        const json_t *pool = json_object_get(status, "pool");
        const json_t *compile;
        size_t i;
        if (pool != NULL) {
                const uint64_t threads = number(pool, "threads");
                fprintf(out, LABEL "%" PRIu64 " thread%s, ", "compiles", threads,
                        threads == 1 ? "" : "s");
                print_size(out, pool, "memory_bytes");
                if (json_object_get(pool, "cores") != NULL)
                        fprintf(out, ", cores %s", text(pool, "cores"));
                fputs(" at most\n", out);
        }
        json_array_foreach (compiles, i, compile) {
                fprintf(out, LABEL, i == 0 ? "compiling" : "");
                print_compile(compile, out);
        }
        const uint64_t all = number(status, "programs_compiling");
        if (all > json_array_size(compiles))
                fprintf(out, LABEL "and %zu more\n", "", (size_t)all - json_array_size(compiles));
}

static void print_files(const json_t *status, FILE *out)
{
        const json_t *files = json_object_get(status, "open_files");
        fprintf(out, LABEL "%" PRIu64 " native, %" PRIu64 " fast, %" PRIu64 " baseline, %" PRIu64
                      " waiting, ",
                "open files", number(files, "native"), number(files, "fast"),
                number(files, "baseline"),
                number(files, "waiting"));
        if (json_is_null(json_object_get(files, "plain")))
                fputs("plain ones are not told to the mount\n", out);
        else
                fprintf(out, "%" PRIu64 " plain\n", number(files, "plain"));
}

static void print_data(const json_t *status, FILE *out)
{
        const json_t *bytes = json_object_get(status, "bytes");
        const json_t *blocks = json_object_get(status, "blocks");
        const json_t *ahead = json_object_get(status, "read_ahead");
        const uint64_t hits = number(blocks, "hits"), waits = number(blocks, "waits"),
                       misses = number(blocks, "misses");
        const uint64_t asked = hits + waits + misses;
        fprintf(out, LABEL, "bytes");
        print_size(out, bytes, "read_from_image");
        fputs(" read from the image, ", out);
        print_size(out, bytes, "decompressed");
        fputs(" decompressed, ", out);
        print_size(out, bytes, "replied");
        fprintf(out,
                " replied\n" LABEL "%" PRIu64 " decompressed, %" PRIu64 " of them again, %" PRIu64
                " failed\n" LABEL,
                "blocks", number(blocks, "decompressed"), number(blocks, "decompressed_again"),
                number(blocks, "failed"), "block cache");
        print_size(out, blocks, "bytes_held");
        fputs(" of ", out);
        print_size(out, blocks, "bytes_at_most");
        fprintf(out,
                ", %" PRIu64 " evicted; %" PRIu64 " hits, %" PRIu64 " waits, %" PRIu64
                " misses (%.0f %% found)\n",
                number(blocks, "evicted"), hits, waits, misses,
                asked > 0 ? 100.0 * (double)(hits + waits) / (double)asked : 0.0);
        fprintf(out,
                LABEL "%" PRIu64 " decompressed ahead, %" PRIu64 " of them used, %" PRIu64
                      " evicted unused\n",
                "read-ahead", number(ahead, "decompressed"), number(ahead, "used"),
                number(ahead, "evicted_unused"));
}

static void print_time(FILE *out, uint64_t nanoseconds)
{
        const double ns = (double)nanoseconds;
        if (ns < 999.5e3)
                fprintf(out, "%8.1f us", ns / 1e3);
        else if (ns < 999.5e6)
                fprintf(out, "%8.1f ms", ns / 1e6);
        else
                fprintf(out, "%8.1f s ", ns / 1e9);
}

static void print_requests(const json_t *status, FILE *out)
{
        static const char *const columns[] = {"p50_ns", "p90_ns", "p99_ns", "max_ns", "total_ns"};
        const json_t *requests = json_object_get(status, "requests");
        const json_t *request;
        const char *name;
        fprintf(out, "\n%-13s%10s%11s%11s%11s%11s%11s\n", "requests", "count", "median", "90 %",
                "99 %", "longest", "together");
        json_object_foreach ((json_t *)requests, name, request) {
                if (number(request, "count") == 0)
                        continue;
                fprintf(out, "%-13s%10" PRIu64, name, number(request, "count"));
                for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
                        print_time(out, number(request, columns[i]));
                fputc('\n', out);
        }
}

void fmt_status_print(const json_t *status, FILE *out)
{
        print_mount(status, out);
        print_files(status, out);
        print_compiles(status, out);
        print_data(status, out);
        print_requests(status, out);
}
