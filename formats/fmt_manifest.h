/* SPDX-License-Identifier: Apache-2.0 */
/* The image manifest: which files of the image are portable objects.
 *
 * Root blob of /.xaas/bundle inside an image; canonical JSON like the program record. In a normal
 * image the file at `path` holds the generic ELF itself (the baseline), so that any squashfs mount
 * runs it; in a lean image it holds a short text that says what it is. The mount shows every
 * portable object with `size` bytes, whatever is served. */
#ifndef FMT_MANIFEST_H
#define FMT_MANIFEST_H

#include "fmt_digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FMT_IMAGE_DIRECTORY ".xaas" /* at the image's root; hidden by the mount */
#define FMT_IMAGE_BUNDLE ".xaas/bundle"
#define FMT_IMAGE_VERSION 1

struct fmt_program {
        char *path; /* within the image, no leading slash; any one name of a hard-linked file */
        struct fmt_digest record;
        uint64_t size;         /* promised size, bytes */
        bool baseline;         /* the file holds the generic ELF */
        bool has_profile;
        struct fmt_digest profile; /* how often its code ran (`xaas profile`), and when that was made, */
        uint64_t profile_time;     /* seconds since the epoch */
        struct fmt_digest elf; /* SHA-256 of the generic ELF as packed (also for lean images) */
};

struct fmt_manifest {
        unsigned version;
        struct fmt_program *programs; /* sorted by path */
        size_t n_programs;
        struct fmt_digest *trusted; /* roots of earlier images whose compiled modules this one
                                       accepts; sorted */
        size_t n_trusted;
};

/* Promised size for a generic ELF of ELF_SIZE bytes: 2 x + 256 KiB, rounded up to 64 KiB
 * (DESIGN: numeric code grew by up to 45 % with AVX-512). Bytes. */
uint64_t fmt_promised_size(uint64_t elf_size);

/* The largest size that a manifest may promise, bytes: 1 TiB. */
#define FMT_PROMISED_MAX (UINT64_C(1) << 40)

int fmt_manifest_new(struct fmt_manifest **ret);

/* An empty slot; a pointer to an earlier one is no longer good. `path` is the manifest's to free.
 */
int fmt_manifest_add(struct fmt_manifest *manifest, struct fmt_program **ret);
int fmt_manifest_trust(struct fmt_manifest *manifest, const struct fmt_digest *root);

/* -EBADMSG with a message through fmt_log(DEBUG) for anything that is not a manifest: paths are
 * relative, without empty, "." and ".." components, sorted and unique. -EPROTONOSUPPORT for a
 * newer version. */
int fmt_manifest_decode(const void *json, size_t size, struct fmt_manifest **ret);

/* Sorts programs and trusted roots, then writes the canonical JSON; the caller frees *ret_json.
 * -EINVAL for what would not be decoded again. */
int fmt_manifest_encode(struct fmt_manifest *manifest, char **ret_json, size_t *ret_size);
void fmt_manifest_free(struct fmt_manifest *manifest);
static inline void fmt_manifest_freep(struct fmt_manifest **manifest)
{
        fmt_manifest_free(*manifest);
}

/* The program at PATH (as in the manifest), or NULL. */
const struct fmt_program *fmt_manifest_find(const struct fmt_manifest *manifest, const char *path);

/* Whether PATH may stand in a manifest. */
bool fmt_manifest_path_is_sane(const char *path);

#endif
