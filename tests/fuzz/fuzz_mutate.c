/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_mutate.h"

#include "unit_check.h"

#include <string.h>

/* Few bytes change, by values that tend to matter; sometimes the end is lost or something is
 * copied over something else. */
size_t fuzz_mutate_bytes(uint8_t *data, size_t size, uint64_t *random)
{
        static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '[', '{', ',', '-'};

        if (size == 0)
                return 0;
        for (uint64_t n = 1 + unit_random(random) % 4; n > 0; n--) {
                size_t at = unit_random(random) % size;
                size_t from = unit_random(random) % size;
                /* Where the header lies, every other time. */
                if (unit_random(random) % 2 && size > 128)
                        at %= 128;
                if (unit_random(random) % 8 == 0)
                        memmove(data + at, data + from, (size - (at > from ? at : from)) % 64);
                else if (unit_random(random) % 2)
                        data[at] = values[unit_random(random) % sizeof values];
                else
                        data[at] = (uint8_t)unit_random(random);
        }
        return unit_random(random) % 16 ? size : unit_random(random) % size;
}

uint32_t fuzz_mutate_number(uint32_t was, uint64_t *random)
{
        switch (unit_random(random) % 6) {
        case 0:
                return was + 1;
        case 1:
                return was - 1;
        case 2:
                return unit_random(random) % 2 ? UINT32_MAX : 0;
        case 3:
                return was ^ UINT32_C(1) << unit_random(random) % 32;
        case 4:
                return (uint32_t)(unit_random(random) % 16);
        default:
                return (uint32_t)unit_random(random) >> unit_random(random) % 32;
        }
}
