// SPDX-License-Identifier: Apache-2.0
#include "receiver.hpp"

#include <cmath>
#include <numeric>

void Receiver::record(const seiche_grid &grid)
{
        trace_.push_back(grid.cells[seiche_index(&grid, x_, y_, z_)]);
}

double Receiver::loudness() const
{
        if (trace_.empty())
                return 0;
        double squares = std::inner_product(trace_.begin(), trace_.end(), trace_.begin(), 0.0);
        return std::sqrt(squares / static_cast<double>(trace_.size()));
}
