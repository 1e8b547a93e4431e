/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of xaasfs. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "jit_cores.h"
#include "jit_policy.h"

#include <stdbool.h>
#include <stdint.h>

/* Waits for a compile as long as it takes. */
#define FS_PATIENCE_FOREVER UINT64_MAX

struct fs_options {
        char *image;
        char *mountpoint;
        bool foreground;
        bool debug;
        bool single_threaded;
        bool help;
        bool version;
        bool stats; /* of the mount at image, which is then a path in it */
        bool json;
        uint64_t offset; /* of the squashfs in the file, bytes */
        char *subdir;    /* folder of the image that is the root; NULL: all of it */
        uint32_t uid;    /* owner of everything; FS_AS_IMAGE: what the image says */
        uint32_t gid;
        uint64_t block_cache; /* decompressed blocks kept in memory, bytes; 0: the default */
        uint64_t cache_limit; /* compiled programs kept on disk, bytes; 0: the cache's own */
        uint64_t patience_ns; /* how long an open waits for a compile */
        bool first_is_fast;   /* and for which: the one that takes the least time */
        bool notifies;        /* who waits is told so on their terminal */
        char *cache;          /* folder of compiled programs; NULL: the user's own */
        uint64_t jit_memory;  /* all compiles together, bytes; 0: the session's own */
        struct jit_cores *jit_cores; /* that compiles are kept on; NULL: wherever there is room */
        char *target;         /* what is compiled for; NULL: this host */
        char *variant;        /* NULL: the best one */
        struct jit_wish wish; /* how programs are compiled */
        char *profile;        /* folder that programs count into, or "off"; NULL: as was started */
        char *fsname;         /* shown as the mount's source; NULL: the image */
        char *fuse;           /* options for libfuse and the kernel, comma-separated */
        bool allow_root;
        bool suid;
        bool dev;
        uint32_t max_threads;
        uint32_t idle_threads;   /* kept although nothing is asked of them */
        uint32_t read_ahead_kib; /* how far the kernel reads ahead, if it may be told */
        bool clone_fd;
        bool io_uring;
        uint64_t timeout_ns; /* unmounts by itself when unused for so long; 0: never */
        bool auto_unmount;   /* also when this process is killed */
        int ready_fd;        /* told when the mount serves; -1: nobody */
};

/* No user and no group has this number (chown(2)). */
#define FS_AS_IMAGE ((uint32_t)-1)

/* Parses ARGV. -EINVAL after saying what is wrong with it. */
int fs_options_parse(int argc, char **argv, struct fs_options *ret);
void fs_options_done(struct fs_options *options);

extern const char fs_usage[];

#endif
