// SPDX-License-Identifier: Apache-2.0
// seiche: standing sound waves in a box, checked against the wave that the scheme must yield.
// Exits 0 if the result is right, 1 if it is not, 2 on wrong usage.
#include "simulation.hpp"

#include <cstdio>
#include <exception>
#include <omp.h>

int main(int argc, char **argv)
{
        try {
                Options options = Options::parse(argc, argv);
                if (options.help) {
                        std::fputs(Options::usage().c_str(), stdout);
                        return 0;
                }
                Outcome outcome = Simulation(options).run();
                std::printf("cells %d^3, steps %d, threads %d\n", options.size, options.steps,
                        omp_get_max_threads());
                std::printf("time %.6f s, %.1f million cell updates per second\n", outcome.seconds,
                        outcome.updates / 1e6);
                std::printf("energy drift %.1e, mode error %.1e, loudness %.6f\n",
                        outcome.energy_drift, outcome.mode_error, outcome.loudness);
                std::printf("checksum %016llx, %s\n", outcome.checksum,
                        outcome.verified() ? "verified" : "WRONG");
                return outcome.verified() ? 0 : 1;
        } catch (const UsageError &error) {
                std::fprintf(stderr, "seiche: %s\n%s", error.what(), Options::usage().c_str());
                return 2;
        } catch (const std::exception &error) {
                std::fprintf(stderr, "seiche: %s\n", error.what());
                return 1;
        }
}
