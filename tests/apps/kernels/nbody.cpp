// SPDX-License-Identifier: Apache-2.0
// Bodies that attract each other, each pair of them, in double precision. Square roots and divisions
// in the innermost loop: the wider the vectors, the better, also where nothing may be reordered.
#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "kernel.h"

namespace {

const double softening = 0.05, time_step = 1e-3;

struct Vectors {
        std::vector<double> x, y, z;
        explicit Vectors(long n) : x(n), y(n), z(n) {}
};

struct Cluster {
        Vectors place, velocity, pull;
        std::vector<double> mass;

        // Bodies on a spiral around a sphere, which turn around its axis.
        explicit Cluster(long n) : place(n), velocity(n), pull(n), mass(n, 1.0 / n)
        {
                for (long i = 0; i < n; i++) {
                        const double height = 2 * (i + 0.5) / n - 1, turn = 2.399963229728653 * i;
                        const double width = std::sqrt(1 - height * height);
                        place.x[i] = width * std::cos(turn);
                        place.y[i] = width * std::sin(turn);
                        place.z[i] = height;
                        velocity.x[i] = -0.5 * place.y[i];
                        velocity.y[i] = 0.5 * place.x[i];
                }
        }

        void attract()
        {
                const long n = mass.size();
                const double *x = place.x.data(), *y = place.y.data(), *z = place.z.data();
                double *__restrict px = pull.x.data(), *__restrict py = pull.y.data(), *__restrict pz = pull.z.data();

                std::fill_n(px, n, 0);
                std::fill_n(py, n, 0);
                std::fill_n(pz, n, 0);
                for (long j = 0; j < n; j++)
                        for (long i = 0; i < n; i++) {
                                const double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
                                const double square = dx * dx + dy * dy + dz * dz + softening * softening;
                                const double strength = mass[j] / (square * std::sqrt(square));
                                px[i] += strength * dx;
                                py[i] += strength * dy;
                                pz[i] += strength * dz;
                        }
        }

        void kick(double time)
        {
                for (size_t i = 0; i < mass.size(); i++) {
                        velocity.x[i] += time * pull.x[i];
                        velocity.y[i] += time * pull.y[i];
                        velocity.z[i] += time * pull.z[i];
                }
        }

        void drift(double time)
        {
                for (size_t i = 0; i < mass.size(); i++) {
                        place.x[i] += time * velocity.x[i];
                        place.y[i] += time * velocity.y[i];
                        place.z[i] += time * velocity.z[i];
                }
        }

        double energy() const
        {
                double sum = 0;
                for (size_t i = 0; i < mass.size(); i++) {
                        sum += 0.5 * mass[i] *
                               (velocity.x[i] * velocity.x[i] + velocity.y[i] * velocity.y[i] + velocity.z[i] * velocity.z[i]);
                        for (size_t j = 0; j < i; j++)
                                sum -= mass[i] * mass[j] /
                                       std::hypot(std::hypot(place.x[i] - place.x[j], place.y[i] - place.y[j],
                                                             place.z[i] - place.z[j]),
                                                  softening);
                }
                return sum;
        }
};

// Leapfrog keeps the energy, up to the square of the time step.
bool run(long size, long rounds, double *ret_value, double *ret_error)
{
        try {
                Cluster cluster(size);
                const double before = cluster.energy();
                cluster.attract();
                for (long round = 0; round < rounds; round++) {
                        cluster.kick(time_step / 2);
                        cluster.drift(time_step);
                        cluster.attract();
                        cluster.kick(time_step / 2);
                }
                *ret_value = cluster.energy();
                *ret_error = std::fabs(*ret_value - before) / 1e-5;
                return true;
        } catch (const std::bad_alloc &) {
                return false;
        }
}

} // namespace

const struct kernel kernel = {"nbody", "bodies", "steps", 2048, 60, 2, 100000, run};
