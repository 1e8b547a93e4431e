// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "seiche.h"

#include <vector>

/// A microphone in one cell: records the pressure after every step.
class Receiver
{
      public:
        Receiver(int x, int y, int z) : x_(x), y_(y), z_(z)
        {
        }

        void record(const seiche_grid &grid);
        double loudness() const; ///< root mean square over the recording

      private:
        int x_, y_, z_;
        std::vector<float> trace_;
};
