/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_mount_options.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_size.h"
#include "fmt_suggest.h"
#include "jit_counting.h"
#include "jit_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>

enum kind {
        FLAG,          /* sets a bool */
        NO_FLAG,       /* clears a bool */
        TEXT,          /* char * */
        NOTIFY,        /* bool: "tty" or "off" */
        PROFILE,       /* a folder that is there, or "off" */
        SIZE,          /* uint64_t, bytes, with suffix K, M, G or T */
        JIT_MEMORY,    /* as SIZE, at least JIT_MEMORY_LEAST */
        JIT_CORES,     /* struct jit_cores * */
        COUNT,         /* uint32_t, at least 1 */
        SECONDS,       /* uint64_t, nanoseconds */
        USER,          /* uint32_t, a number or a name */
        GROUP,         /* as USER */
        DESCRIPTOR,    /* int, open for writing */
        WISH,          /* struct jit_wish */
        FIRST,         /* what the first open waits for */
        TO_FUSE,       /* handed on as it is */
        TO_FUSE_VALUE, /* handed on with its value */
        IGNORED,       /* true anyway of what never changes, or meant for mount(8) */
        REFUSED,       /* of other mount commands: says what to do instead */
};

#define NO_TIMEOUT "the kernel keeps what it has read for as long as it likes"
#define DIRECT "leave it out: the page cache is what makes programs fast"
#define OWNERS "-o uid= and gid= show everything as owned by somebody"

static const struct option {
        const char *name;
        enum kind kind;
        size_t field;
        const char *advice; /* REFUSED */
} known[] = {
        {"patience", SECONDS, offsetof(struct fs_options, patience_ns), NULL},
        {"first", FIRST, 0, NULL},
        {"notify", NOTIFY, offsetof(struct fs_options, notifies), NULL},
        {"target", TEXT, offsetof(struct fs_options, target), NULL},
        {"variant", TEXT, offsetof(struct fs_options, variant), NULL},
        {"fp", WISH, offsetof(struct fs_options, wish), NULL},
        {"lto", WISH, offsetof(struct fs_options, wish), NULL},
        {"policy", WISH, offsetof(struct fs_options, wish), NULL},
        {"profile", PROFILE, 0, NULL},
        {"jit_mem", JIT_MEMORY, offsetof(struct fs_options, jit_memory), NULL},
        {"jit_cores", JIT_CORES, offsetof(struct fs_options, jit_cores), NULL},
        {"cache", TEXT, offsetof(struct fs_options, cache), NULL},
        {"cache_limit", SIZE, offsetof(struct fs_options, cache_limit), NULL},
        {"cache_size", SIZE, offsetof(struct fs_options, block_cache), NULL},
        {"offset", SIZE, offsetof(struct fs_options, offset), NULL},
        {"subdir", TEXT, offsetof(struct fs_options, subdir), NULL},
        {"uid", USER, offsetof(struct fs_options, uid), NULL},
        {"gid", GROUP, offsetof(struct fs_options, gid), NULL},
        {"timeout", SECONDS, offsetof(struct fs_options, timeout_ns), NULL},
        {"fsname", TEXT, offsetof(struct fs_options, fsname), NULL},
        {"suid", FLAG, offsetof(struct fs_options, suid), NULL},
        {"nosuid", NO_FLAG, offsetof(struct fs_options, suid), NULL},
        {"dev", FLAG, offsetof(struct fs_options, dev), NULL},
        {"nodev", NO_FLAG, offsetof(struct fs_options, dev), NULL},
        {"max_threads", COUNT, offsetof(struct fs_options, max_threads), NULL},
        {"max_idle_threads", COUNT, offsetof(struct fs_options, idle_threads), NULL},
        {"read_ahead_kb", COUNT, offsetof(struct fs_options, read_ahead_kib), NULL},
        {"clone_fd", FLAG, offsetof(struct fs_options, clone_fd), NULL},
        {"noclone_fd", NO_FLAG, offsetof(struct fs_options, clone_fd), NULL},
        {"help", FLAG, offsetof(struct fs_options, help), NULL},
        {"version", FLAG, offsetof(struct fs_options, version), NULL},
        {"stats", FLAG, offsetof(struct fs_options, stats), NULL},
        {"json", FLAG, offsetof(struct fs_options, json), NULL},
        {"foreground", FLAG, offsetof(struct fs_options, foreground), NULL},
        {"debug", FLAG, offsetof(struct fs_options, debug), NULL},
        {"io_uring", FLAG, offsetof(struct fs_options, io_uring), NULL},
        {"auto_unmount", FLAG, offsetof(struct fs_options, auto_unmount), NULL},
        {"ready-fd", DESCRIPTOR, offsetof(struct fs_options, ready_fd), NULL},
        {"allow_other", TO_FUSE, 0, NULL},
        {"allow_root", FLAG, offsetof(struct fs_options, allow_root), NULL},
        {"exec", TO_FUSE, 0, NULL},
        {"noexec", TO_FUSE, 0, NULL},
        {"sync", TO_FUSE, 0, NULL},
        {"async", TO_FUSE, 0, NULL},
        {"dirsync", TO_FUSE, 0, NULL},
        {"noatime", TO_FUSE, 0, NULL},
        {"context", TO_FUSE_VALUE, 0, NULL},
        {"fscontext", TO_FUSE_VALUE, 0, NULL},
        {"defcontext", TO_FUSE_VALUE, 0, NULL},
        {"rootcontext", TO_FUSE_VALUE, 0, NULL},
        {"default_permissions", IGNORED, 0, NULL},
        {"ro", IGNORED, 0, NULL},
        {"rw", IGNORED, 0, NULL},
        {"atime", IGNORED, 0, NULL},
        {"relatime", IGNORED, 0, NULL},
        {"norelatime", IGNORED, 0, NULL},
        {"strictatime", IGNORED, 0, NULL},
        {"diratime", IGNORED, 0, NULL},
        {"nodiratime", IGNORED, 0, NULL},
        {"auto", IGNORED, 0, NULL},
        {"noauto", IGNORED, 0, NULL},
        {"user", IGNORED, 0, NULL},
        {"nouser", IGNORED, 0, NULL},
        {"users", IGNORED, 0, NULL},
        {"owner", IGNORED, 0, NULL},
        {"group", IGNORED, 0, NULL},
        {"nofail", IGNORED, 0, NULL},
        {"_netdev", IGNORED, 0, NULL},
        {"defaults", IGNORED, 0, NULL},
        {"loop", IGNORED, 0, NULL},
        {"nonempty", IGNORED, 0, NULL},
        {"kernel_cache", IGNORED, 0, NULL},
        {"use_ino", IGNORED, 0, NULL},
        {"readdir_ino", IGNORED, 0, NULL},
        {"async_read", IGNORED, 0, NULL},
        {"big_writes", IGNORED, 0, NULL},
        {"notify_pipe", REFUSED, 0, "open it for --ready-fd: `xaasfs --ready-fd 3 ... 3>PIPE`"},
        {"subtype", REFUSED, 0, "it is always xaasfs; -o fsname= sets what else is shown"},
        {"blkdev", REFUSED, 0, "leave it out: block devices are read like files"},
        {"max_read", REFUSED, 0, "leave it out: reads are as large as the kernel makes them"},
        {"max_background", REFUSED, 0, "-o max_threads= bounds what is done at once"},
        {"direct_io", REFUSED, 0, DIRECT},
        {"auto_cache", REFUSED, 0, "leave it out: nothing in an image changes"},
        {"entry_timeout", REFUSED, 0, "leave it out: " NO_TIMEOUT},
        {"attr_timeout", REFUSED, 0, "leave it out: " NO_TIMEOUT},
        {"ac_attr_timeout", REFUSED, 0, "leave it out: " NO_TIMEOUT},
        {"negative_timeout", REFUSED, 0, "leave it out: " NO_TIMEOUT},
        {"umask", REFUSED, 0, OWNERS},
        {"setuid", REFUSED, 0, "run xaasfs as that user; " OWNERS},
        {"modules", REFUSED, 0, "-o subdir= shows a folder of the image"},
};
#define N_KNOWN (sizeof known / sizeof *known)

static const struct option *find_option(const char *name)
{
        for (size_t i = 0; i < N_KNOWN; i++)
                if (!strcmp(known[i].name, name))
                        return &known[i];
        return NULL;
}

bool fs_mount_option_wants_value(const char *name)
{
        const struct option *option = find_option(name);
        if (option == NULL)
                return false;
        switch (option->kind) {
        case TEXT:
        case NOTIFY:
        case PROFILE:
        case SIZE:
        case JIT_MEMORY:
        case JIT_CORES:
        case COUNT:
        case SECONDS:
        case USER:
        case GROUP:
        case DESCRIPTOR:
        case WISH:
        case FIRST:
        case TO_FUSE_VALUE:
                return true;
        default:
                return false;
        }
}

static int refuse_unknown(const char *name)
{
        const char *names[N_KNOWN + 1] = {0};
        size_t n_names = 0;
        for (size_t i = 0; i < N_KNOWN; i++)
                if (known[i].kind != REFUSED)
                        names[n_names++] = known[i].name;
        const char *meant = fmt_suggest(name, names);
        if (meant != NULL)
                fmt_error("unknown option %s; did you mean %s?", name, meant);
        else
                fmt_error("unknown option %s; `xaasfs -h` lists what there is", name);
        return -EINVAL;
}

/* ---- values ---- */

static int parse_size(const char *name, const char *text, uint64_t *ret)
{
        static const char suffixes[] = "KMGT";
        char *end;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 0);
        const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
        const unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
        if (end == text || *text == '-' || errno != 0 || (*end != '\0' && suffix == NULL) ||
                (suffix != NULL && end[1] != '\0') || value > UINT64_MAX >> shift) {
                fmt_error("option %s=%s: not a size; give bytes, or a number with K, M, G or T",
                        name, text);
                return -EINVAL;
        }
        *ret = (uint64_t)value << shift;
        return 0;
}

static int parse_jit_memory(const char *name, const char *text, uint64_t *ret)
{
        char least[FMT_SIZE_TEXT];
        int error = parse_size(name, text, ret);
        if (error < 0 || *ret >= JIT_MEMORY_LEAST)
                return error;
        fmt_error("option %s=%s: no program can be compiled with so little; give at least %s", name,
                text, fmt_size_text(JIT_MEMORY_LEAST, least));
        return -EINVAL;
}

static int parse_jit_cores(const char *name, const char *text, struct jit_cores **ret)
{
        _cleanup_free_ char *reason = NULL;
        jit_cores_free(*ret);
        *ret = NULL;
        int error = jit_cores_parse(text, ret, &reason);
        if (error < 0)
                fmt_error(
                        "option %s=%s: %s", name, text, reason != NULL ? reason : strerror(-error));
        return error < 0 ? -EINVAL : 0;
}

static int parse_seconds(const char *name, const char *text, uint64_t *ret)
{
        char *end;
        double seconds = strtod(text, &end);
        if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9)) {
                fmt_error("option %s=%s: not a number of seconds; give 0 or more", name, text);
                return -EINVAL;
        }
        *ret = (uint64_t)(seconds * 1e9);
        return 0;
}

/* A number from LEAST to MOST and nothing else. */
static bool parse_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret)
{
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < least ||
                value > most)
                return false;
        *ret = (uint32_t)value;
        return true;
}

static int parse_count(const char *name, const char *text, uint32_t *ret)
{
        if (parse_number(text, 1, 100000, ret))
                return 0;
        fmt_error("option %s=%s: not a count; give a number from 1 on", name, text);
        return -EINVAL;
}

static int parse_owner(const char *name, const char *text, bool group, uint32_t *ret)
{
        if (parse_number(text, 0, UINT32_MAX - 1, ret))
                return 0;
        const struct passwd *user = group ? NULL : getpwnam(text);
        const struct group *members = group ? getgrnam(text) : NULL;
        if (user == NULL && members == NULL) {
                fmt_error("option %s=%s: this system has no such %s; give a number", name, text,
                        group ? "group" : "user");
                return -EINVAL;
        }
        *ret = group ? members->gr_gid : user->pw_uid;
        return 0;
}

static int parse_descriptor(const char *name, const char *text, int *ret)
{
        uint32_t fd;
        const int flags = parse_number(text, 0, INT32_MAX, &fd) ? fcntl((int)fd, F_GETFL) : -1;
        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
                fmt_error("option %s=%s: no descriptor of that number is open for writing; open it "
                          "before, as in `xaasfs --%s 3 ... 3>FILE`",
                        name, text, name);
                return -EINVAL;
        }
        *ret = (int)fd;
        return 0;
}

static int parse_notify(const char *name, const char *text, bool *ret)
{
        *ret = !strcmp(text, "tty");
        if (*ret || !strcmp(text, "off"))
                return 0;
        fmt_error("option %s=%s: there is no such place; give tty, or off", name, text);
        return -EINVAL;
}

static int parse_wish(const char *name, const char *text, struct jit_wish *wish)
{
        _cleanup_free_ char *reason = NULL;
        int error = jit_wish_set(wish, name, text, &reason);
        if (error == -EINVAL)
                fmt_error("option %s=%s: %s; xaasfs(1) says how programs are compiled", name, text,
                        reason != NULL ? reason : "not understood");
        return error;
}

static int parse_first(const char *text, bool *ret_is_fast)
{
        *ret_is_fast = !strcmp(text, "fast");
        if (*ret_is_fast || !strcmp(text, "full"))
                return 0;
        fmt_error("option first=%s: it takes fast or full; xaasfs(1) says what the first open gets",
                text);
        return -EINVAL;
}

static int keep_text(const char *text, char **ret)
{
        free(*ret);
        *ret = strdup(text);
        return *ret == NULL ? -ENOMEM : 0;
}

/* Programs have the folder built in: in full, links followed. */
static int parse_profile(const char *text, struct fs_options *options)
{
        _cleanup_free_ char *reason = NULL;
        options->wish.no_profile = !strcmp(text, "off");
        if (options->wish.no_profile)
                return keep_text(text, &options->profile);
        _cleanup_free_ char *folder = realpath(text, NULL);
        if (folder == NULL) {
                fmt_error("option profile=%s: %s; make that folder first", text, strerror(errno));
                return -EINVAL;
        }
        int error = jit_counting_check_folder(folder, &reason);
        if (error == -EINVAL)
                fmt_error("option profile=%s: %s; choose another folder", text,
                        reason != NULL ? reason : "out of memory");
        return error < 0 ? error : keep_text(folder, &options->profile);
}

static int append_fuse(struct fs_options *options, const char *text)
{
        char *joined;
        if (asprintf(&joined, "%s%s%s", options->fuse != NULL ? options->fuse : "",
                    options->fuse != NULL ? "," : "", text) < 0)
                return -ENOMEM;
        free(options->fuse);
        options->fuse = joined;
        return 0;
}

static int set(struct fs_options *options, const struct option *option, const char *word,
        const char *value)
{
        void *field = (char *)options + option->field;
        switch (option->kind) {
        case FLAG:
                *(bool *)field = true;
                return 0;
        case NO_FLAG:
                *(bool *)field = false;
                return 0;
        case TEXT:
                return keep_text(value, field);
        case NOTIFY:
                return parse_notify(option->name, value, field);
        case PROFILE:
                return parse_profile(value, options);
        case SIZE:
                return parse_size(option->name, value, field);
        case JIT_MEMORY:
                return parse_jit_memory(option->name, value, field);
        case JIT_CORES:
                return parse_jit_cores(option->name, value, field);
        case COUNT:
                return parse_count(option->name, value, field);
        case SECONDS:
                return parse_seconds(option->name, value, field);
        case USER:
        case GROUP:
                return parse_owner(option->name, value, option->kind == GROUP, field);
        case DESCRIPTOR:
                return parse_descriptor(option->name, value, field);
        case WISH:
                return parse_wish(option->name, value, field);
        case FIRST:
                return parse_first(value, &options->first_is_fast);
        case TO_FUSE:
        case TO_FUSE_VALUE:
                return append_fuse(options, word);
        case IGNORED:
                return 0;
        case REFUSED:
                fmt_error("option %s does not apply to xaasfs; %s", option->name, option->advice);
                return -EINVAL;
        }
        return 0;
}

int fs_mount_option_apply(struct fs_options *options, const char *word)
{
        _cleanup_free_ char *name = strndup(word, strcspn(word, "="));
        if (name == NULL)
                return -ENOMEM;
        const char *value = word[strlen(name)] == '=' ? word + strlen(name) + 1 : NULL;
        const struct option *option = find_option(name);
        /* fstab's comments: "x-systemd.automount". */
        if (option == NULL && !strncmp(name, "x-", 2))
                return 0;
        if (option == NULL)
                return refuse_unknown(name);
        if (fs_mount_option_wants_value(name)) {
                if (value == NULL || *value == '\0') {
                        fmt_error("option %s needs a value; write %s=VALUE", name, name);
                        return -EINVAL;
                }
        } else if (value != NULL && option->kind != IGNORED && option->kind != REFUSED) {
                fmt_error("option %s takes no value; write just %s", name, name);
                return -EINVAL;
        }
        return set(options, option, word, value);
}
