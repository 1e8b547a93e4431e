/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a linked file is what its record promises, before anybody is served it. */
#ifndef JIT_CHECK_H
#define JIT_CHECK_H

#include "fmt_record.h"

/* Checks FD against VARIANT: class, machine, type, interpreter, soname, NEEDED (the exact
 * list, and behind it libraries with stubs that are not needed), rpath, exports (a shared library: neither more nor fewer; an executable: no fewer), the entry
 * point inside executable bytes, segments inside the file, none writable and executable at once,
 * an executable stack only if the recipe asks for one, and no more than PROMISED bytes. 0 and the
 * file's size; -EBADMSG and a sentence (the caller frees it); -EFBIG and a sentence if nothing is
 * wrong with it but its size. */
int jit_check_file(int fd, const struct fmt_variant *variant, uint64_t promised, uint64_t *ret_size,
        char **ret_reason);

#endif
