/* SPDX-License-Identifier: Apache-2.0 */
/* Folders in which the loader of an image looks for libraries that nobody says a path for. */
#ifndef FMT_LDCONF_H
#define FMT_LDCONF_H

#include "fmt_squashfs.h"

/* /etc/ld.so.conf and what it includes (ldconfig(8)), then the default folders; in the order in
 * which they are searched. Damaged or missing files are passed over. The caller frees with
 * fmt_strings_free. */
int fmt_ldconf_folders(struct fmt_squashfs *image, char ***ret);

#endif
