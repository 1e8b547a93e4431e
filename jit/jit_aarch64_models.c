/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_aarch64_features.h"
#include "jit_models.h"

#include <stddef.h>

#define ARM VENDOR_ARM
#define ANY VENDOR_ANY

/* Features as LLVM 19 gives them with -march= (levels) or -mcpu= (cores); test_aarch64 compares
 * each row with the compiler. Crypto instructions, which LLVM adds to no armv9 core unasked, are
 * found on the machine itself. */
static const struct jit_model models[] = {
        {"armv8-a", ANY, NULL, "+fp-armv8 +neon"},
        {"armv8.1-a", ANY, "armv8-a", "+crc +lse +rdm"},
        {"armv8.2-a", ANY, "armv8.1-a", "+ccpp"},
        {"armv8.3-a", ANY, "armv8.2-a", "+complxnum +jsconv +pauth +rcpc"},
        {"armv8.4-a", ANY, "armv8.3-a", "+dit +dotprod +flagm +lse2 +rcpc-immo"},
        {"armv8.5-a", ANY, "armv8.4-a", "+altnzcv +bti +ccdp +fptoint +sb +ssbs"},
        {"armv8.6-a", ANY, "armv8.5-a", "+bf16 +i8mm"},
        {"armv8.7-a", ANY, "armv8.6-a", "+wfxt"},
        {"armv9-a", ANY, "armv8.5-a", "+fullfp16 +sve +sve2"},
        {"armv9.2-a", ANY, "armv9-a", "+bf16 +i8mm +wfxt"},
        {"cortex-a53", ARM, "armv8-a", "+aes +crc +sha2"},
        {"cortex-a55", ARM, "armv8.2-a", "+aes +dotprod +fullfp16 +rcpc +sha2"},
        {"cortex-a57", ARM, "cortex-a53", ""},
        {"cortex-a72", ARM, "cortex-a53", ""},
        {"cortex-a73", ARM, "cortex-a53", ""},
        {"cortex-a75", ARM, "cortex-a55", ""},
        {"cortex-a76", ARM, "cortex-a55", "+ssbs"},
        {"cortex-a77", ARM, "cortex-a76", ""},
        {"cortex-a78", ARM, "cortex-a76", ""},
        {"cortex-x1", ARM, "cortex-a76", ""},
        {"cortex-a510", ARM, "armv9.2-a", "+fp16fml +mte +sve2-bitperm -wfxt"},
        {"cortex-a710", ARM, "cortex-a510", ""},
        {"cortex-a715", ARM, "cortex-a510", ""},
        {"cortex-x2", ARM, "cortex-a510", ""},
        {"cortex-x3", ARM, "cortex-a510", ""},
        {"cortex-a520", ARM, "cortex-a510", "+wfxt"},
        {"cortex-a720", ARM, "cortex-a520", ""},
        {"cortex-x4", ARM, "cortex-a520", ""},
        {"neoverse-e1", ARM, "cortex-a76", ""},
        {"neoverse-n1", ARM, "cortex-a76", ""},
        {"neoverse-n2", ARM, "cortex-a510", ""},
        {"neoverse-n3", ARM, "cortex-a520", "+rand"},
        {"neoverse-v1", ARM, "armv8.4-a",
                "+aes +bf16 +ccdp +fp16fml +fullfp16 +i8mm +rand +sha2 +sha3 +sm4 +ssbs +sve"},
        {"neoverse-v2", ARM, "cortex-a510", "+rand"},
        {"neoverse-v3", ARM, "neoverse-n3", "+ls64"},
        {"a64fx", ARM, "cortex-a55", "+complxnum +sve -dotprod -rcpc"},
        {"thunderx2t99", ARM, "armv8.1-a", "+aes +sha2"},
        {"tsv110", ARM, "cortex-a55", "+complxnum +fp16fml +jsconv -rcpc"},
        {"ampere1", ARM, "armv8.6-a", "+aes +fullfp16 +rand +sha2 +sha3"},
        {"ampere1a", ARM, "ampere1", "+mte +sm4"},
        {"ampere1b", ARM, "ampere1a", "+cssc +wfxt"},
        {"apple-a14", ARM, "ampere1", "+fp16fml -bf16 -bti -i8mm -rand"},
        {"apple-a15", ARM, "ampere1", "+fp16fml -rand"},
        {"apple-a16", ARM, "apple-a15", ""},
        {"carmel", ARM, "cortex-a55", "-dotprod -rcpc"},
        {"oryon-1", ARM, "ampere1", "+fp16fml +sm4"},
        {0},
};

const struct jit_architecture jit_aarch64 = {.name = "AArch64",
        .triple = "aarch64-unknown-linux-gnu",
        .features = jit_aarch64_features,
        .feature_size = sizeof(jit_aarch64_features[0]),
        .n_features = JIT_AARCH64_N_FEATURES,
        .models = models};

/* Who made a core and which one it is, from the makers' reference manuals and Linux's
 * asm/cputype.h. Where LLVM has no model of its own, that of the core it descends from. */
static const struct {
        unsigned implementer, part;
        const char *model;
} cores[] = {
        {0x41, 0xd03, "cortex-a53"},
        {0x41, 0xd05, "cortex-a55"},
        {0x41, 0xd07, "cortex-a57"},
        {0x41, 0xd08, "cortex-a72"},
        {0x41, 0xd09, "cortex-a73"},
        {0x41, 0xd0a, "cortex-a75"},
        {0x41, 0xd0b, "cortex-a76"},
        {0x41, 0xd0c, "neoverse-n1"},
        {0x41, 0xd0d, "cortex-a77"},
        {0x41, 0xd0e, "cortex-a76"}, /* A76AE */
        {0x41, 0xd40, "neoverse-v1"},
        {0x41, 0xd41, "cortex-a78"},
        {0x41, 0xd42, "cortex-a78"}, /* A78AE */
        {0x41, 0xd44, "cortex-x1"},
        {0x41, 0xd46, "cortex-a510"},
        {0x41, 0xd47, "cortex-a710"},
        {0x41, 0xd48, "cortex-x2"},
        {0x41, 0xd49, "neoverse-n2"},
        {0x41, 0xd4a, "neoverse-e1"},
        {0x41, 0xd4b, "cortex-a78"}, /* A78C */
        {0x41, 0xd4c, "cortex-x1"},  /* X1C */
        {0x41, 0xd4d, "cortex-a715"},
        {0x41, 0xd4e, "cortex-x3"},
        {0x41, 0xd4f, "neoverse-v2"}, /* Grace, Graviton 4, Axion */
        {0x41, 0xd80, "cortex-a520"},
        {0x41, 0xd81, "cortex-a720"},
        {0x41, 0xd82, "cortex-x4"},
        {0x41, 0xd83, "neoverse-v3"}, /* V3AE */
        {0x41, 0xd84, "neoverse-v3"},
        {0x41, 0xd8e, "neoverse-n3"},
        {0x42, 0x516, "thunderx2t99"}, /* before Cavium bought it */
        {0x43, 0x0af, "thunderx2t99"},
        {0x46, 0x001, "a64fx"},
        {0x48, 0xd01, "tsv110"}, /* Kunpeng 920 */
        {0x4e, 0x004, "carmel"},
        {0x51, 0x001, "oryon-1"},
        {0x61, 0x022, "apple-a14"}, /* M1, small cores */
        {0x61, 0x023, "apple-a14"}, /* M1, big cores */
        {0x61, 0x024, "apple-a14"}, /* M1 Pro */
        {0x61, 0x025, "apple-a14"},
        {0x61, 0x028, "apple-a14"}, /* M1 Max and Ultra */
        {0x61, 0x029, "apple-a14"},
        {0x61, 0x032, "apple-a15"}, /* M2 */
        {0x61, 0x033, "apple-a15"},
        {0x61, 0x034, "apple-a15"}, /* M2 Pro */
        {0x61, 0x035, "apple-a15"},
        {0x61, 0x038, "apple-a15"}, /* M2 Max and Ultra */
        {0x61, 0x039, "apple-a15"},
        {0x6d, 0xd49, "neoverse-n2"}, /* Cobalt 100 */
        {0xc0, 0xac3, "ampere1"},
        {0xc0, 0xac4, "ampere1a"},
        {0xc0, 0xac5, "ampere1b"},
};

const char *jit_aarch64_model_of(uint64_t midr)
{
        unsigned implementer = midr >> 24 & 0xff;
        unsigned part = midr >> 4 & 0xfff;

        for (size_t i = 0; i < sizeof(cores) / sizeof(cores[0]); i++) {
                if (cores[i].implementer == implementer && cores[i].part == part)
                        return cores[i].model;
        }
        return NULL;
}
