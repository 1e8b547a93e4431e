/* SPDX-License-Identifier: Apache-2.0 */
/* What programs would be compiled for on the machine this runs on: detection alone, without the
 * libraries that all of xaasfs needs, so that it can be built for AArch64 anywhere. */
#include "jit_host.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        struct jit_target *target;

        if (jit_target_detect(argc > 1 ? argv[1] : NULL, false, &target) < 0)
                return 1;
        printf("%s %s %s\n", target->triple, target->tune, target->features);
        bool takes = jit_target_takes_images(target);
        jit_target_free(target);
        return takes ? 0 : 3;
}
