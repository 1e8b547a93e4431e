/* SPDX-License-Identifier: Apache-2.0 */
/* What is linked into a program that counts its own runs (`xaas profile`).
 *
 * It knows no C library, so that the same object serves programs of any image, static ones and
 * libraries that need nothing; it asks the kernel itself. A constructor that runs before all
 * others opens a file outside of the image and maps it over the counters: from then on each
 * increment is in the file, whether the program exits, execs, is killed or never ends.
 *
 *     FOLDER/STEM.HOST.SLOT.profraw
 *
 * FOLDER and STEM are written into the object by whoever links it (jit_profile_place.h); FOLDER can
 * be given as XAASFS_PROFILE_DIR instead. A process holds its file's lock (flock(2)) and takes the
 * first SLOT that nobody holds, so that there are as many files as processes ran at the same time,
 * and ranks do not count in each other's cache lines; what an earlier process counted in it stays.
 *
 * The file is a raw profile of LLVM, format version 10 (compiler-rt's profile/InstrProfData.inc):
 *
 *     header  data  padding  counters  padding  names  padding  values
 *
 * Counters start and end at page borders, in memory by the alignment of the sections below. What a
 * site saw (targets of indirect calls, sizes of copies) has room for VALUES different ones, laid
 * out as the format wants it from the start. Addresses are stored less that of the data section,
 * so that all processes agree on them wherever they were loaded. */
#include "jit_profile_place.h"

#include <stddef.h>
#include <stdint.h>

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/utsname.h>

#define PAGE 4096
#define SLOTS 1024
#define VALUES 8
#define HIGH_DESCRIPTOR 900 /* out of the way of programs that count on the next free one */

#define VERSION (UINT64_C(10) | UINT64_C(1) << 56) /* made from IR */
#define MAGIC UINT64_C(0xff6c70726f667281)         /* "lprofr" between two bytes that no text has */

#define HIDDEN __attribute__((visibility("hidden")))

/* Where the counters go. */
static const volatile struct jit_profile_place place __attribute__((used)) = {
        .mark = JIT_PROFILE_MARK};

/* ---- what the compiler made ---- */

enum { CALLS, COPIES, N_KINDS = 3 };

struct data {
        uint64_t name, hash;
        uint64_t counters, bitmap; /* relative to this structure */
        uint64_t function;         /* address */
        struct sites *values;
        uint32_t n_counters;
        uint16_t n_sites[N_KINDS];
        uint32_t n_bitmap;
};

/* The linker is given this object first: the counters begin at a page border, and the section
 * behind them does so, too. In assembly, since compilers emit variables in an order of their own.
 */
__asm__(".pushsection __llvm_prf_cnts, \"aw\", @progbits\n"
        ".balign 4096\n"
        ".quad 0\n"
        ".popsection\n"
        ".pushsection xaas_prof_behind, \"aw\", @progbits\n"
        ".balign 4096\n"
        "behind_counters: .quad 0\n"
        ".popsection");

/* Between which addresses the linker put sections of one name, and the whole program. */
HIDDEN extern struct data data_start[] __asm__("__start___llvm_prf_data") __attribute__((weak));
HIDDEN extern struct data data_stop[] __asm__("__stop___llvm_prf_data") __attribute__((weak));
HIDDEN extern char names_start[] __asm__("__start___llvm_prf_names") __attribute__((weak));
HIDDEN extern char names_stop[] __asm__("__stop___llvm_prf_names") __attribute__((weak));
HIDDEN extern char counters_start[] __asm__("__start___llvm_prf_cnts");
HIDDEN extern char counters_stop[] __asm__("__stop___llvm_prf_cnts");
HIDDEN extern char behind_counters[];
HIDDEN extern char program_start[] __asm__("__ehdr_start") __attribute__((weak));
HIDDEN extern char program_stop[] __asm__("_end") __attribute__((weak));

/* ---- the format ---- */

struct header {
        uint64_t magic, version, binary_ids_size;
        uint64_t n_data, padding_before_counters, n_counters, padding_after_counters;
        uint64_t n_bitmap, padding_after_bitmap, names_size;
        uint64_t counters_delta, bitmap_delta, names_delta;
        uint64_t n_vtables, vtable_names_size, last_kind;
};

struct value {
        uint64_t value, count;
};

/* One kind's sites of one function: as many bytes of VALUES as there are sites, padded to 8, and
 * then that many times VALUES values. */
struct sites {
        uint32_t kind, n;
        uint8_t counts[];
};

struct values_head {
        uint32_t size, n_kinds;
};

struct layout {
        uint64_t data, data_size, counters, counters_size, names, names_size, values, size;
};

static uint64_t round_up(uint64_t size, uint64_t to)
{
        return (size + to - 1) / to * to;
}

static uint64_t sites_size(unsigned n)
{
        return n == 0 ? 0
                      : round_up(sizeof(struct sites) + n, 8) + n * VALUES * sizeof(struct value);
}

static struct value *values_of(struct sites *sites, unsigned n)
{
        return (struct value *)((char *)sites + round_up(sizeof *sites + n, 8));
}

static uint64_t values_size(const struct data *data)
{
        const uint64_t size = sites_size(data->n_sites[CALLS]) + sites_size(data->n_sites[COPIES]);
        return size == 0 ? 0 : sizeof(struct values_head) + size;
}

static void lay_out(struct layout *ret)
{
        ret->data = sizeof(struct header);
        ret->data_size = (uint64_t)((char *)data_stop - (char *)data_start);
        ret->counters = round_up(ret->data + ret->data_size, PAGE);
        ret->counters_size = round_up((uint64_t)(counters_stop - counters_start), PAGE);
        ret->names = ret->counters + ret->counters_size;
        ret->names_size = (uint64_t)(names_stop - names_start);
        ret->values = round_up(ret->names + ret->names_size, 8);
        ret->size = ret->values;
        for (const struct data *data = data_start; data < data_stop; data++)
                ret->size += values_size(data);
}

/* ---- without a C library ---- */

#if defined(__x86_64__)
static long ask(long number, long a, long b, long c, long d, long e, long f)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        long result;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return result;
}
#elif defined(__aarch64__)
static long ask(long number, long a, long b, long c, long d, long e, long f)
{
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;
        __asm__ volatile("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return x0;
}
#endif

/* The barrier keeps compilers from calling memcpy instead. */

static void copy(void *to, const void *from, uint64_t size)
{
        char *out = to;
        const char *in = from;
        for (uint64_t i = 0; i < size; i++) {
                out[i] = in[i];
                __asm__ volatile("" : : : "memory");
        }
}

static unsigned length(const char *text)
{
        unsigned n = 0;
        for (const volatile char *at = text; *at; at++)
                n++;
        return n;
}

struct text {
        char bytes[PATH_MAX + 512];
        unsigned size;
};

/* Not by an initialiser, for which compilers call memset. */
static void begin(struct text *text)
{
        text->bytes[0] = 0;
        text->size = 0;
}

static void add(struct text *text, const char *more)
{
        const unsigned n = length(more);
        if (text->size + n >= sizeof text->bytes)
                return;
        copy(text->bytes + text->size, more, n + 1);
        text->size += n;
}

static void add_number(struct text *text, unsigned number)
{
        char digits[12];
        unsigned at = sizeof digits - 1;
        digits[at] = 0;
        do
                digits[--at] = (char)('0' + number % 10);
        while ((number /= 10) > 0);
        add(text, digits + at);
}

/* Programs that run as somebody else than who started them do not let that one choose. */
static int is_trusted(void)
{
        return ask(__NR_getuid, 0, 0, 0, 0, 0, 0) == ask(__NR_geteuid, 0, 0, 0, 0, 0, 0) &&
               ask(__NR_getgid, 0, 0, 0, 0, 0, 0) == ask(__NR_getegid, 0, 0, 0, 0, 0, 0);
}

/* The value of XAASFS_PROFILE_DIR in TEXT, which is left empty without one. */
static void read_folder(struct text *text)
{
        static const char name[] = "XAASFS_PROFILE_DIR=";
        char buffer[1024];
        unsigned matched = 0, skipping = 0;
        long n;
        const long fd = ask(
                __NR_openat, AT_FDCWD, (long)"/proc/self/environ", O_RDONLY | O_CLOEXEC, 0, 0, 0);
        if (fd < 0)
                return;
        while ((n = ask(__NR_read, fd, (long)buffer, sizeof buffer, 0, 0, 0)) > 0) {
                for (long i = 0; i < n; i++) {
                        const char c = buffer[i];
                        if (matched == sizeof name - 1) {
                                if (c == 0 || text->size + 1 >= PATH_MAX)
                                        goto out;
                                text->bytes[text->size++] = c;
                        } else if (c == 0) {
                                matched = skipping = 0;
                        } else if (!skipping && c == name[matched]) {
                                matched++;
                        } else {
                                skipping = 1;
                        }
                }
        }
out:
        text->bytes[text->size] = 0;
        ask(__NR_close, fd, 0, 0, 0, 0, 0);
}

/* ---- the file ---- */

static void complain(const struct text *path, const char *why)
{
        struct text text;
        begin(&text);
        add(&text, "xaasfs: this program cannot write its profile to ");
        add(&text, path->bytes);
        add(&text, ": ");
        add(&text, why);
        add(&text, "; make that folder appear in the container, or set XAASFS_PROFILE_DIR\n");
        ask(__NR_write, 2, (long)text.bytes, text.size, 0, 0, 0);
}

/* Writes everything but the counters; they begin where the program has them now. */
static void fill(char *file, const struct layout *layout)
{
        const uint64_t base = (uint64_t)data_start;
        struct header header = {
                .magic = MAGIC,
                .version = VERSION,
                .n_data = (uint64_t)(data_stop - data_start),
                .padding_before_counters = layout->counters - layout->data - layout->data_size,
                .n_counters = (uint64_t)(counters_stop - counters_start) / 8,
                .padding_after_counters =
                        layout->counters_size - (uint64_t)(counters_stop - counters_start),
                .names_size = layout->names_size,
                .counters_delta = (uint64_t)counters_start - base,
                .bitmap_delta = (uint64_t)counters_start - base,
                .names_delta = (uint64_t)names_start - base,
                .last_kind = N_KINDS - 1,
        };
        struct data *data = (struct data *)(file + layout->data);
        char *values = file + layout->values;
        copy(data, data_start, layout->data_size);
        copy(file + layout->counters, counters_start, layout->counters_size);
        copy(file + layout->names, names_start, layout->names_size);
        for (; (char *)data < file + layout->data + layout->data_size; data++) {
                struct values_head head = {.size = (uint32_t)values_size(data)};
                data->function -= data->function != 0 ? base : 0;
                data->values = NULL;
                if (head.size == 0)
                        continue;
                head.n_kinds = (data->n_sites[CALLS] > 0) + (data->n_sites[COPIES] > 0);
                copy(values, &head, sizeof head);
                char *at = values + sizeof head;
                for (unsigned kind = CALLS; kind <= COPIES; kind++) {
                        struct sites *sites = (struct sites *)at;
                        const unsigned n = data->n_sites[kind];
                        if (n == 0)
                                continue;
                        sites->kind = kind;
                        sites->n = n;
                        for (volatile unsigned i = 0; i < n; i++)
                                sites->counts[i] = VALUES;
                        /* A site's sizes must differ, also those that were never seen. */
                        struct value *value = values_of(sites, n);
                        for (unsigned i = 0; kind == COPIES && i < n * VALUES; i++)
                                value[i].value = i % VALUES;
                        at += sites_size(n);
                }
                values += head.size;
        }
        copy(file, &header, sizeof header);
}

/* A descriptor of the first file that nobody else uses, or one of its own where there are no locks;
 * a negative errno. PATH comes without what tells slots apart. */
static long open_slot(struct text *path)
{
        const unsigned size = path->size;
        long fd = -1;
        for (unsigned slot = 0; slot < SLOTS; slot++) {
                path->size = size;
                add(path, ".");
                add_number(path, slot);
                add(path, ".profraw");
                fd = ask(__NR_openat, AT_FDCWD, (long)path->bytes,
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600, 0, 0);
                /* LOCK_EX | LOCK_NB; EWOULDBLOCK: the next one. */
                if (fd < 0 || ask(__NR_flock, fd, 2 | 4, 0, 0, 0, 0) != -11)
                        break;
                ask(__NR_close, fd, 0, 0, 0, 0, 0);
                fd = -24;
        }
        return fd;
}

/* In memory already: maps a file of the right size, or makes a new one so. NULL: no. */
static char *map_file(long fd, const struct layout *layout)
{
        struct header header = {0};
        const long size = ask(__NR_lseek, fd, 0, 2, 0, 0, 0);
        if (size != 0 && size != (long)layout->size)
                return NULL;
        if (size == 0 && ask(__NR_ftruncate, fd, (long)layout->size, 0, 0, 0, 0) < 0)
                return NULL;
        const long mapped =
                ask(__NR_mmap, 0, (long)layout->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped < 0 && mapped > -PAGE)
                return NULL;
        copy(&header, (char *)mapped, sizeof header);
        if (header.magic != MAGIC)
                fill((char *)mapped, layout);
        return (char *)mapped;
}

/* ---- counting ---- */

/* 1 once the places of values are known. */
static int ready;

static void connect_values(char *file, const struct layout *layout)
{
        char *values = file + layout->values;
        for (struct data *data = data_start; data < data_stop; data++) {
                const uint64_t size = values_size(data);
                data->values = size > 0 ? (struct sites *)(values + sizeof(struct values_head)) : 0;
                values += size;
        }
        ready = 1;
}

static void connect(void)
{
        struct layout layout;
        struct text path;
        struct new_utsname host;
        begin(&path);
        if (is_trusted())
                read_folder(&path);
        if (path.size == 0)
                add(&path, (const char *)place.folder);
        if (path.size == 0 || &data_start[0] == &data_stop[0])
                return;
        lay_out(&layout);
        add(&path, "/");
        add(&path, (const char *)place.stem);
        add(&path, ".");
        add(&path, ask(__NR_uname, (long)&host, 0, 0, 0, 0, 0) < 0 ? "host" : host.nodename);
        /* The linker's doing, which no test lets pass. */
        if ((uint64_t)counters_start % PAGE != 0 ||
                behind_counters < counters_start + layout.counters_size) {
                complain(&path, "its counters share a page with something else");
                return;
        }
        const long low = open_slot(&path);
        char *file = low < 0 ? NULL : map_file(low, &layout);
        if (!file || ask(__NR_mmap, (long)counters_start, (long)layout.counters_size,
                             PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, low,
                             (long)layout.counters) < 0) {
                complain(&path, low < 0 ? "it cannot be opened" : "it cannot be mapped");
                return;
        }
        connect_values(file, &layout);
        /* F_DUPFD_CLOEXEC */
        if (ask(__NR_fcntl, low, 1030, HIGH_DESCRIPTOR, 0, 0, 0) >= 0)
                ask(__NR_close, low, 0, 0, 0, 0, 0);
}

__attribute__((section(".init_array.00000"), used)) static void (*const first)(void) = connect;

/* The VALUES that were seen first, or often: the rarest one gives way when others outnumber it. */
static void count(struct value *values, uint64_t value)
{
        struct value *rarest = values;
        for (unsigned i = 0; i < VALUES; i++) {
                if (values[i].value == value) {
                        values[i].count++;
                        return;
                }
                if (values[i].count < rarest->count)
                        rarest = &values[i];
        }
        if (rarest->count > 0 && --rarest->count > 0)
                return;
        rarest->value = value;
        rarest->count = 1;
}

/* INDEX counts the sites of all kinds of the function. */
static void see(uint64_t value, const struct data *data, unsigned index)
{
        if (!ready || !data->values)
                return;
        const unsigned n_calls = data->n_sites[CALLS];
        const unsigned n = index < n_calls ? n_calls : data->n_sites[COPIES];
        char *sites = (char *)data->values;
        if (index >= n_calls) {
                sites += sites_size(n_calls);
                index -= n_calls;
        }
        if (index >= n)
                return;
        count(values_of((struct sites *)sites, n) + index * VALUES, value);
}

/* Called by what LLVM puts into programs (InstrProfiling.cpp). */
HIDDEN void __llvm_profile_instrument_target(uint64_t value, void *data, uint32_t index);
HIDDEN void __llvm_profile_instrument_memop(uint64_t value, void *data, uint32_t index);

/* Functions of other files lie elsewhere in each process, and have no name here. */
void __llvm_profile_instrument_target(uint64_t value, void *data, uint32_t index)
{
        const int is_ours = value >= (uint64_t)program_start && value < (uint64_t)program_stop;
        see(is_ours ? value - (uint64_t)data_start : 0, data, index);
}

/* Sizes up to 8 and powers of two count as they are, others by the one below plus one, and more
 * than 512 as 513. */
void __llvm_profile_instrument_memop(uint64_t value, void *data, uint32_t index)
{
        if (value >= 513)
                value = 513;
        else if (value > 8 && (value & (value - 1)) != 0)
                value = (UINT64_C(1) << (63 - __builtin_clzll(value))) + 1;
        see(value, data, index);
}
