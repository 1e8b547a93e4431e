/* SPDX-License-Identifier: Apache-2.0 */
/* Container images as they travel: an OCI image layout (skopeo, buildah, `podman save --format
 * oci-dir`, `docker save`), or a docker archive (`podman save`); as a folder or as a tar.
 *
 * OCI: image layout and image specification 1.0 (index.json, blobs/ALGORITHM/HEX, whiteouts).
 * Docker: image specification 1.2 (manifest.json). */
#ifndef PACK_LAYERS_H
#define PACK_LAYERS_H

#include "pack_scan.h"

/* Whether what was scanned is such an image and not a root file system. */
bool pack_layers_present(const struct pack_scan *image);

/* Reads the layers of IMAGE into SCAN, the lowest first. Blobs that are named by SHA-256 are
 * checked. Prints what is wrong. */
int pack_layers_read(const struct pack_scan *image, struct pack_scan *scan);

#endif
