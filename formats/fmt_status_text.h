/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a mount as text for people. */
#ifndef FMT_STATUS_TEXT_H
#define FMT_STATUS_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* STATUS as fmt_status_read gives it; members that it lacks are shown as 0 or left out. */
void fmt_status_print(const json_t *status, FILE *out);

#endif
