/* SPDX-License-Identifier: Apache-2.0 */
/* HPL without the other benchmarks of hpcc around it; reads hpccinf.txt, as hpcc does. */
#include <hpcc.h>

int main(int argc, char **argv)
{
        HPL_RuntimeData data = {0};
        int failure = 0;

        MPI_Init(&argc, &argv);
        HPL_main(argc, argv, &data, &failure);
        MPI_Finalize();
        return failure;
}
