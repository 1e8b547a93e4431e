// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"
#include "receiver.hpp"
#include "seiche.h"

#include <vector>

class Grid
{
      public:
        explicit Grid(int size);
        ~Grid();
        Grid(const Grid &) = delete;
        Grid &operator=(const Grid &) = delete;

        seiche_grid *get()
        {
                return &grid_;
        }

      private:
        seiche_grid grid_;
};

struct Outcome {
        int steps;
        double seconds;      ///< wall time of the steps
        double updates;      ///< cell updates per second
        double energy_drift; ///< relative to the energy at the start
        double mode_error;   ///< relative to the amplitude; 0 where there is no closed form
        double loudness;     ///< of the loudest receiver
        unsigned long long checksum;

        bool verified() const;
};

class Simulation
{
      public:
        explicit Simulation(const Options &options);
        Outcome run();

      private:
        void advance();

        Options options_;
        Grid past_, present_, medium_;
        std::vector<Receiver> receivers_;
        double frequency_;
};
