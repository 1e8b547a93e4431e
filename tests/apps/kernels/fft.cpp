// SPDX-License-Identifier: Apache-2.0
// Fast Fourier transforms of complex numbers, there and back, in passes over all of them that need no
// reordering (Stockham's). Products of complex numbers: whether additions are fused into them shows here.
#include <cmath>
#include <complex>
#include <new>
#include <vector>

#include "kernel.h"

namespace {

using Number = std::complex<double>;

class Transform {
public:
        // SIZE is a power of two.
        explicit Transform(size_t size) : _roots(size / 2), _other(size)
        {
                for (size_t i = 0; i < size / 2; i++)
                        _roots[i] = std::polar(1.0, -2 * M_PI * i / size);
        }

        // Each pass combines numbers that are half of all apart, in groups of STRIDE with equal roots.
        void forward(std::vector<Number> &numbers)
        {
                const size_t half = numbers.size() / 2;

                for (size_t stride = 1; stride <= half; stride *= 2) {
                        combine(half, stride, numbers.data(), _other.data());
                        numbers.swap(_other);
                }
        }

        void backward(std::vector<Number> &numbers)
        {
                for (Number &number : numbers)
                        number = std::conj(number);
                forward(numbers);
                for (Number &number : numbers)
                        number = std::conj(number) / static_cast<double>(numbers.size());
        }

private:
        void combine(size_t half, size_t stride, const Number *__restrict from, Number *__restrict to) const
        {
                for (size_t group = 0; group < half; group += stride) {
                        const double c = _roots[group].real(), s = _roots[group].imag();
                        for (size_t i = group; i < group + stride; i++) {
                                const Number a = from[i], b = from[i + half], d = a - b;
                                to[i + group] = a + b;
                                to[i + group + stride] = {d.real() * c - d.imag() * s, d.real() * s + d.imag() * c};
                        }
                }
        }

        std::vector<Number> _roots, _other;
};

// A wave that repeats three times becomes one number; and back it is the wave.
bool run(long size, long rounds, double *ret_value, double *ret_error)
{
        const size_t count = size_t(1) << size;
        try {
                Transform transform(count);
                std::vector<Number> wave(count);
                for (size_t i = 0; i < count; i++)
                        wave[i] = std::polar(1.0, 2 * M_PI * (3 * i % count) / count);
                const std::vector<Number> first = wave;
                double worst = 0, sum = 0;
                for (long round = 0; round < rounds; round++) {
                        transform.forward(wave);
                        worst = std::fmax(worst, std::abs(wave[3] / double(count) - 1.0));
                        sum += std::abs(wave[count / 2 + 1]);
                        transform.backward(wave);
                }
                for (size_t i = 0; i < count; i++) {
                        worst = std::fmax(worst, std::abs(wave[i] - first[i]));
                        sum += wave[i].real() * double(i);
                }
                *ret_value = sum;
                *ret_error = worst / (1e-15 * size * (rounds + 10));
                return true;
        } catch (const std::bad_alloc &) {
                return false;
        }
}

} // namespace

const struct kernel kernel = {"fft", "power of two", "transforms there and back", 14, 800, 2, 26, run};
