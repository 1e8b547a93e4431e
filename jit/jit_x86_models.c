/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_x86_models.h"

#include <limits.h>
#include <string.h>

#define INTEL VENDOR_INTEL
#define AMD VENDOR_AMD
#define ANY VENDOR_ANY /* a level, not a machine: never chosen for tuning */

/* Each row: what the row named third has, more or less. Features as clang 19 gives them with
 * -march=NAME, with the baseline of x86-64 in all of them; test_host compares each row with the
 * compiler. Of two rows with equal features the first is chosen for tuning. */
static const struct {
        const char *name;
        enum jit_x86_vendor vendor;
        const char *parent;
        const char *changes; /* separated by spaces */
} models[] = {
        {"x86-64", ANY, NULL, "+cmov +cx8 +fxsr +mmx +sse +sse2 +x87"},
        {"x86-64-v2", ANY, "x86-64", "+crc32 +cx16 +popcnt +sahf +sse3 +sse4.1 +sse4.2 +ssse3"},
        {"x86-64-v3", ANY, "x86-64-v2", "+avx +avx2 +bmi +bmi2 +f16c +fma +lzcnt +movbe +xsave"},
        {"x86-64-v4", ANY, "x86-64-v3",
                "+avx512bw +avx512cd +avx512dq +avx512f +avx512vl +evex512"},
        {"nocona", INTEL, "x86-64", "+cx16 +sse3"},
        {"core2", INTEL, "nocona", "+sahf +ssse3"},
        {"penryn", INTEL, "core2", "+sse4.1"},
        {"nehalem", INTEL, "x86-64-v2", ""},
        {"corei7", INTEL, "x86-64-v2", ""},
        {"westmere", INTEL, "x86-64-v2", "+pclmul"},
        {"sandybridge", INTEL, "westmere", "+avx +xsave +xsaveopt"},
        {"corei7-avx", INTEL, "sandybridge", ""},
        {"ivybridge", INTEL, "sandybridge", "+f16c +fsgsbase +rdrnd"},
        {"core-avx-i", INTEL, "ivybridge", ""},
        {"haswell", INTEL, "x86-64-v3", "+fsgsbase +invpcid +pclmul +rdrnd +xsaveopt"},
        {"core-avx2", INTEL, "haswell", ""},
        {"broadwell", INTEL, "haswell", "+adx +prfchw +rdseed"},
        {"skylake", INTEL, "broadwell", "+aes +clflushopt +sgx +xsavec +xsaves"},
        {"skylake-avx512", INTEL, "skylake",
                "+avx512bw +avx512cd +avx512dq +avx512f +avx512vl +clwb +evex512 +pku -sgx"},
        {"skx", INTEL, "skylake-avx512", ""},
        {"cascadelake", INTEL, "skylake-avx512", "+avx512vnni"},
        {"cooperlake", INTEL, "cascadelake", "+avx512bf16"},
        {"cannonlake", INTEL, "skylake-avx512", "+avx512ifma +avx512vbmi +sgx +sha -clwb"},
        {"icelake-client", INTEL, "cannonlake",
                "+avx512bitalg +avx512vbmi2 +avx512vnni +avx512vpopcntdq +gfni +rdpid +vaes "
                "+vpclmulqdq"},
        {"icelake-server", INTEL, "icelake-client", "+clwb +pconfig +wbnoinvd"},
        {"rocketlake", INTEL, "icelake-client", "-sgx"},
        {"tigerlake", INTEL, "icelake-client",
                "+avx512vp2intersect +clwb +kl +movdir64b +movdiri +shstk +widekl"},
        {"sapphirerapids", INTEL, "icelake-server",
                "+amx-bf16 +amx-int8 +amx-tile +avx512bf16 +avx512fp16 +avxvnni +cldemote +enqcmd "
                "+movdir64b +movdiri +ptwrite +serialize +shstk +tsxldtrk +uintr +waitpkg"},
        {"emeraldrapids", INTEL, "sapphirerapids", ""},
        {"graniterapids", INTEL, "sapphirerapids", "+amx-fp16 +prefetchi"},
        {"graniterapids-d", INTEL, "graniterapids", "+amx-complex"},
        {"alderlake", INTEL, "skylake",
                "+avxvnni +cldemote +clwb +gfni +hreset +kl +movdir64b +movdiri +pconfig +pku "
                "+ptwrite +rdpid +serialize +sha +shstk +vaes +vpclmulqdq +waitpkg +widekl"},
        {"raptorlake", INTEL, "alderlake", ""},
        {"meteorlake", INTEL, "alderlake", ""},
        {"gracemont", INTEL, "alderlake", ""},
        {"arrowlake", INTEL, "alderlake",
                "+avxifma +avxneconvert +avxvnniint8 +cmpccxadd +enqcmd +uintr"},
        {"arrowlake-s", INTEL, "arrowlake", "+avxvnniint16 +sha512 +sm3 +sm4"},
        {"lunarlake", INTEL, "arrowlake-s", ""},
        {"pantherlake", INTEL, "arrowlake-s", "+prefetchi"},
        {"sierraforest", INTEL, "arrowlake", ""},
        {"grandridge", INTEL, "arrowlake", ""},
        {"clearwaterforest", INTEL, "pantherlake", "+usermsr"},
        {"bonnell", INTEL, "core2", "+movbe"},
        {"atom", INTEL, "bonnell", ""},
        {"silvermont", INTEL, "westmere", "+movbe +prfchw +rdrnd"},
        {"slm", INTEL, "silvermont", ""},
        {"goldmont", INTEL, "silvermont",
                "+aes +clflushopt +fsgsbase +rdseed +sha +xsave +xsavec +xsaveopt +xsaves"},
        {"goldmont-plus", INTEL, "goldmont", "+ptwrite +rdpid +sgx"},
        {"tremont", INTEL, "goldmont-plus", "+clwb +gfni"},
        {"knl", INTEL, "broadwell", "+aes +avx512cd +avx512f +evex512"},
        {"knm", INTEL, "knl", "+avx512vpopcntdq"},
        {"k8", AMD, "x86-64", "+prfchw"},
        {"opteron", AMD, "k8", ""},
        {"athlon64", AMD, "k8", ""},
        {"athlon-fx", AMD, "k8", ""},
        {"k8-sse3", AMD, "k8", "+sse3"},
        {"opteron-sse3", AMD, "k8-sse3", ""},
        {"athlon64-sse3", AMD, "k8-sse3", ""},
        {"amdfam10", AMD, "k8-sse3", "+cx16 +lzcnt +popcnt +sahf +sse4a"},
        {"barcelona", AMD, "amdfam10", ""},
        {"btver1", AMD, "amdfam10", "+ssse3"},
        {"btver2", AMD, "sandybridge", "+aes +bmi +f16c +lzcnt +movbe +prfchw +sse4a"},
        {"bdver1", AMD, "btver2", "+fma4 +lwp +xop -bmi -f16c -movbe -xsaveopt"},
        {"bdver2", AMD, "bdver1", "+bmi +f16c +fma +tbm"},
        {"bdver3", AMD, "bdver2", "+fsgsbase +xsaveopt"},
        {"bdver4", AMD, "bdver3", "+avx2 +bmi2 +movbe +mwaitx +rdrnd"},
        {"znver1", AMD, "skylake", "+clzero +mwaitx +sha +sse4a -invpcid -sgx"},
        {"znver2", AMD, "znver1", "+clwb +rdpid +rdpru +wbnoinvd"},
        {"znver3", AMD, "znver2", "+invpcid +pku +vaes +vpclmulqdq"},
        {"znver4", AMD, "icelake-server",
                "+avx512bf16 +clzero +mwaitx +rdpru +shstk +sse4a -pconfig -sgx"},
        {"znver5", AMD, "znver4", "+avx512vp2intersect +avxvnni +movdir64b +movdiri +prefetchi"},
};

#define N_MODELS (sizeof(models) / sizeof(models[0]))

const char *jit_x86_model_name(size_t index)
{
        return index < N_MODELS ? models[index].name : NULL;
}

static void apply(const char *changes, struct jit_x86_set *set)
{
        while (*changes) {
                size_t size = strcspn(changes, " ");
                int feature = jit_x86_find(changes + 1, size - 1);
                if (feature >= 0)
                        jit_x86_put(set, (size_t)feature, *changes == '+');
                changes += size + (changes[size] == ' ');
        }
}

static bool features_of(const char *name, struct jit_x86_set *ret)
{
        for (size_t i = 0; i < N_MODELS; i++) {
                if (strcmp(models[i].name, name))
                        continue;
                if (!models[i].parent)
                        memset(ret, 0, sizeof(*ret));
                else if (!features_of(models[i].parent, ret)) /* as deep as the table's families */
                        return false;
                apply(models[i].changes, ret);
                return true;
        }
        return false;
}

bool jit_x86_model(const char *name, struct jit_x86_set *ret)
{
        bool found = features_of(strcmp(name, "generic") ? name : "x86-64", ret);

        if (found)
                jit_x86_put(ret, (size_t)jit_x86_find("64bit", 5), true);
        return found;
}

/* What a machine has says more than what it lacks: a hypervisor takes features away, but seldom
 * invents one. Hence the weight. */
const char *jit_x86_nearest(const struct jit_x86_set *host, enum jit_x86_vendor vendor)
{
        const char *nearest = "x86-64";
        size_t least = SIZE_MAX;

        for (size_t i = 0; i < N_MODELS; i++) {
                struct jit_x86_set model;
                if (models[i].vendor == ANY || (vendor != ANY && models[i].vendor != vendor) ||
                        !jit_x86_model(models[i].name, &model))
                        continue;
                struct jit_x86_set beyond = jit_x86_minus(host, &model);
                struct jit_x86_set lacking = jit_x86_minus(&model, host);
                size_t distance = 2 * jit_x86_count(&beyond) + jit_x86_count(&lacking);
                if (distance < least) {
                        least = distance;
                        nearest = models[i].name;
                }
        }
        return nearest;
}
