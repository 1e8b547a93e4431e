/* SPDX-License-Identifier: Apache-2.0 */
/* The control groups that this process is in, of both versions. */
#ifndef FMT_CGROUP_H
#define FMT_CGROUP_H

/* FOLDER: absolute, without a slash at its end. */
typedef void fmt_cgroup_visitor(void *context, const char *folder);

/* Calls VISIT for our cgroup and each above it as far as this process can see: of version 2, and of
 * CONTROLLER's own hierarchy of version 1, where there is one. */
void fmt_cgroup_visit(const char *controller, fmt_cgroup_visitor *visit, void *context);

#endif
