/* SPDX-License-Identifier: Apache-2.0 */
/* What xaas-cc tells xaas-ld through the compiler driver between them. */
#ifndef LD_ENVIRONMENT_H
#define LD_ENVIRONMENT_H

#define LD_REAL_VARIABLE "XAAS_CAPTURE_LD"         /* path of the linker to run */
#define LD_OFF_VARIABLE "XAAS_CAPTURE_OFF"         /* why this link is not recorded */
#define LD_SCRATCH_VARIABLE "XAAS_CAPTURE_SCRATCH" /* folder of objects N+SOURCE.o */

#endif
