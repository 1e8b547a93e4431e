/* SPDX-License-Identifier: Apache-2.0 */
/* FMT_SANITIZER: 1 where this is compiled for ASan or TSan, by gcc or by clang, else 0. Such a
 * process reserves terabytes of address space for its shadow, and starts helpers of its own at
 * exit: what limits or confines a process has to know. */
#ifndef FMT_SANITIZER_H
#define FMT_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FMT_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FMT_SANITIZER 1
#endif
#endif
#ifndef FMT_SANITIZER
#define FMT_SANITIZER 0
#endif

#endif
